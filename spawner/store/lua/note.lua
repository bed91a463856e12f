-- Keep a remark on a record that is still there. ARGV: id, text.
if redis.call('EXISTS', record_key(ARGV[1])) == 0 then return 0 end
redis.call('HSET', record_key(ARGV[1]), 'detail', ARGV[2])
return 1
