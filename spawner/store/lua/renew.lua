-- Say that somebody still waits for a launch.
-- ARGV: ticket. Returns {template, environment, place}, or nothing if it was given up.
local ticket = ARGV[1]
local f = redis.call('HMGET', ticket_key(ticket), 'template', 'environment')
if not f[1] then return nil end
if redis.call('ZSCORE', P .. 'tickets', ticket) then redis.call('ZADD', P .. 'tickets', now, ticket) end
return {f[1], f[2] or '', place(f[1], ticket)}
