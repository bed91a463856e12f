-- Hand out nothing from now on, or take that back. ARGV: "on" or "off".
-- Returns 1, or 0 if it was so already.
local key = P .. 'drain'
local is_on = redis.call('HGET', key, 'state') == 'on'
if is_on == (ARGV[1] == 'on') then return 0 end
redis.call('HSET', key, 'state', ARGV[1], 'at', now)
if ARGV[1] == 'on' then redis.call('HINCRBY', key, 'number', 1) end
stir('')
return 1
