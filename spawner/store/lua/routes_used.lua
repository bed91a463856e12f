-- Note uses of routes. ARGV: for each its prefix and how long ago it was used, in ms.
for i = 1, #ARGV, 2 do
  local at = now - tonumber(ARGV[i + 1])
  -- Without a time there is no route any more.
  if at > tonumber(redis.call('HGET', P .. 'routes:used', ARGV[i]) or now) then
    redis.call('HSET', P .. 'routes:used', ARGV[i], at)
  end
end
return 1
