-- Begin the end of an environment: -> draining or -> failed.
-- ARGV: id, to, reason, version or "", newest activity known or "", fence or "",
--       then the clocks that count for that activity.
-- Returns 1, or 0 if it changed meanwhile, was used meanwhile, or is ending already.
local id, to, reason, version, known, fence = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
if is_fenced(fence) then return redis.error_reply('FENCED') end
if version ~= '' and field(id, 'version') ~= version then return 0 end
if known ~= '' then
  for i = 7, #ARGV do
    if tonumber(field(id, ARGV[i]) or 0) > tonumber(known) then return 0 end
  end
end
local phase = field(id, 'phase')
if not phase or not FOLLOWERS[phase][to] then return 0 end
return finish(id, to, reason) and 1 or 0
