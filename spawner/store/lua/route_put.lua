-- Put a route of tmpenv proxy. ARGV: prefix, what was put. Returns when, in ms.
redis.call('HSET', P .. 'routes', ARGV[1], ARGV[2])
redis.call('HSET', P .. 'routes:used', ARGV[1], now)
redis.call('PUBLISH', P .. 'routes:changed', ARGV[1])
return now
