-- Visitors for wrk. What they do comes from the environment:
--
--   PATHS        paths, in turn, parted by spaces
--   UPLOAD_BYTES how much they send
--   VARIED       not empty: If-None-Match differs in each request
--
-- What they saw is the last line, as JSON.
local paths = {}
for path in os.getenv("PATHS"):gmatch("%S+") do paths[#paths + 1] = path end
local is_varied = os.getenv("VARIED") ~= ""
local upload = tonumber(os.getenv("UPLOAD_BYTES"))
local heads, tails, count = {}, {}, 0
local MARK = "0123456789"

if upload > 0 then
  wrk.method = "POST"
  wrk.body = string.rep("x", upload)
end
wrk.path = paths[1]

function init()
  if is_varied then wrk.headers["If-None-Match"] = '"' .. MARK .. '"' end
  for i, path in ipairs(paths) do
    local whole = wrk.format(nil, path)
    local from, to = whole:find(MARK, 1, true)
    heads[i], tails[i] = whole, ""
    if is_varied then heads[i], tails[i] = whole:sub(1, from - 1), whole:sub(to + 1) end
  end
end

-- Without a function of ours wrk makes its one request once.
if is_varied or #paths > 1 then
  function request()
    count = count + 1
    local i = count % #paths + 1
    return is_varied and heads[i] .. count .. tails[i] or heads[i]
  end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "bytes": %d, "seconds": %f, "p50_ms": %f, "p99_ms": %f, "errors": %d}\n',
    summary.requests, summary.bytes, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
