-- Count builds. Returns {how many run, how many wait}.
return {redis.call('ZCARD', P .. 'builds:running'), waiting_builds()}
