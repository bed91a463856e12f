-- Give up the launches that nobody has asked for lately. ARGV: reason. Returns how many.
local lapsed = redis.call('ZRANGEBYSCORE', P .. 'tickets', '-inf', now - TICKET_LAPSE_MS, 'LIMIT', 0, 1000)
for _, ticket in ipairs(lapsed) do cancel(ticket, ARGV[1]) end
return #lapsed
