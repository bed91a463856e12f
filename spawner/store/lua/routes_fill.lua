-- Put routes where there are none: what a process knows, into a store that was emptied.
-- ARGV: an origin for a store that has none, then for each its prefix and what was put.
redis.call('SET', P .. 'routes:origin', ARGV[1], 'NX')
for i = 2, #ARGV, 2 do
  if redis.call('HSETNX', P .. 'routes', ARGV[i], ARGV[i + 1]) == 1 then
    redis.call('HSET', P .. 'routes:used', ARGV[i], now)
    redis.call('PUBLISH', P .. 'routes:changed', ARGV[i])
  end
end
return 1
