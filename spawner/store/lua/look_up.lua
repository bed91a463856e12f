-- Look a lasting launch up, which says that somebody still waits for it.
-- ARGV: ticket. Returns {template, place, the environment's record, why it was given up or ""},
-- or nothing if there is none.
local ticket = ARGV[1]
local f = redis.call('HMGET', ticket_key(ticket), 'template', 'environment', 'ended', 'lasting')
if f[4] ~= '1' then return nil end
if redis.call('ZSCORE', P .. 'tickets', ticket) then ask(ticket) end
return {f[1], place(f[1], ticket), record(f[2]), f[3] or ''}
