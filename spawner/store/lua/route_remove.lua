-- Take away a route of tmpenv proxy. ARGV: prefix. Returns 0 if there was none.
if redis.call('HDEL', P .. 'routes', ARGV[1]) == 0 then return 0 end
redis.call('HDEL', P .. 'routes:used', ARGV[1])
redis.call('PUBLISH', P .. 'routes:changed', ARGV[1])
return 1
