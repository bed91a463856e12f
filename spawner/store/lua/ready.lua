-- Note that an environment answers, and give it to whoever waits longest, else keep it as a spare.
-- ARGV: id, fence. Returns 1, or 0 if it is no longer starting.
local id, fence = ARGV[1], ARGV[2]
if is_fenced(fence) then return redis.error_reply('FENCED') end
if field(id, 'phase') ~= 'starting' then return 0 end
local template = field(id, 'template')
redis.call('DEL', trouble_key(template))
while true do
  local ticket = redis.call('ZPOPMIN', queue_key(template))[1]
  if not ticket then move(id, 'ready') break end
  local seen = redis.call('ZSCORE', P .. 'tickets', ticket)
  if seen and tonumber(seen) > now - TICKET_LAPSE_MS then assign(id, ticket) break end
  cancel(ticket, 'abandoned')
end
return 1
