-- wrk's side of the collector's benchmark: sends requests that benchmarks/collector.py prepared.
-- Arguments: a file of bodies, each ended by a zero byte; one with a line of headers per request (name, tab, value ...).
local bodies, headers, sent = {}, {}, 0

function init(arguments)
  for body in assert(io.open(arguments[1], "rb")):read("*a"):gmatch("(%Z+)%z") do bodies[#bodies + 1] = body end
  for line in io.lines(arguments[2]) do headers[#headers + 1] = line end
end

function request()
  sent = sent + 1
  local fields = {}
  for name, value in headers[sent]:gmatch("([^\t]+)\t([^\t]+)") do fields[name] = value end
  return wrk.format("POST", nil, fields, bodies[(sent - 1) % #bodies + 1])
end

function done(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format("[%d, %f, %f, %d]\n", summary.requests, summary.duration / 1e6, latency:percentile(99) / 1e3, failed))
end
