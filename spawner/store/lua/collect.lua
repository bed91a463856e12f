-- Say that the visitor has its environment: the launch can no longer lapse.
-- ARGV: ticket.
return redis.call('ZREM', P .. 'tickets', ARGV[1])
