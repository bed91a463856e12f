-- Say that the visitor has its environment: the launch can no longer lapse.
-- ARGV: ticket. Returns the ms since it was taken, or nothing if this was said before.
if redis.call('ZREM', P .. 'tickets', ARGV[1]) == 0 then return nil end
return now - (redis.call('HGET', ticket_key(ARGV[1]), 'since') or now)
