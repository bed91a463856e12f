-- Say that every environment of the backend has a record. ARGV: fence.
if is_fenced(ARGV[1]) then return redis.error_reply('FENCED') end
redis.call('SET', P .. 'complete', 1)
return 1
