-- Take back a hand-out of which its visitor never heard: it counts for nobody.
-- ARGV: id, version, reason, the launch's ticket or "". Returns 1, or 0 if it changed meanwhile.
local id, version, reason, ticket = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local caller = field(id, 'caller')
local is_taken = field(id, 'version') == version and finish(id, 'failed', reason)
if is_taken and caller then redis.call('ZREM', launches_key(caller), id) end
if ticket ~= '' then
  cancel(ticket, reason)
  -- The same ticket is tried again.
  redis.call('DEL', ticket_key(ticket))
end
return is_taken and 1 or 0
