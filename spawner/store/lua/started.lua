-- Note where an environment will listen: creating -> starting.
-- ARGV: id, host, port, fence. Returns 1, or 0 if it is no longer being created.
local id, host, port, fence = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if is_fenced(fence) then return redis.error_reply('FENCED') end
if field(id, 'phase') ~= 'creating' then return 0 end
-- Two cannot have one address: whoever is noted there has died unnoticed. It
-- loses its route now, before the address can belong to another visitor.
local address = host .. ' ' .. port
local former = redis.call('HGET', P .. 'addresses', address)
if former and former ~= id then finish(former, 'failed', 'died; its address went to another') end
redis.call('HSET', P .. 'addresses', address, id)
redis.call('HSET', record_key(id), 'host', host, 'port', port)
move(id, 'starting')
return 1
