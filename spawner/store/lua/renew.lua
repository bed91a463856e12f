-- Say that somebody still waits for a launch.
-- ARGV: ticket. Returns {template, place, the environment's record}, or nothing if it was given up.
local ticket = ARGV[1]
local f = redis.call('HMGET', ticket_key(ticket), 'template', 'environment', 'ended')
if not f[1] or f[3] then return nil end
if redis.call('ZSCORE', P .. 'tickets', ticket) then ask(ticket) end
return {f[1], place(f[1], ticket), record(f[2])}
