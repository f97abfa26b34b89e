-- wrk sends COUNT request bodies in order from a file, each after its length (4 bytes, big-endian).
--
--   wrk -t1 ... -s sealed.lua URL -- CORPUS COUNT CONTENT-TYPE
--
-- If the file is shorter, it starts over. After the last body it prints END: then stop wrk with SIGINT, and
-- `done` prints one line of JSON.
local ffi = require("ffi")
ffi.cdef[[
  typedef struct { long s, ns; } bench_time;
  int clock_gettime(int, bench_time *);
]]
local MONOTONIC = 1
local threads = {}

local function now_s()
  local time = ffi.new("bench_time")
  ffi.C.clock_gettime(MONOTONIC, time)
  return tonumber(time.s) + tonumber(time.ns) / 1e9
end

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  corpus, count = assert(io.open(args[1], "rb")), tonumber(args[2])
  wrk.headers["Content-Type"] = args[3]
  sent, answered, refused, began_s, ended_s = 0, 0, 0, nil, nil
end

local function next_body()
  local length = corpus:read(4)
  if length == nil then
    corpus:seek("set")
    length = corpus:read(4)
  end
  local a, b, c, d = length:byte(1, 4)
  return corpus:read(((a * 256 + b) * 256 + c) * 256 + d)
end

-- wrk calls it once before it connects, and does not send that body.
function request()
  if sent == 1 then began_s = now_s() end
  if sent == count and ended_s == nil then
    ended_s = now_s()
    wrk.thread:stop()
    io.write("END\n")
    io.flush()
  end
  sent = sent + 1
  -- Before wrk stops, other connections can ask for one request more. Its response is not read.
  if ended_s then return wrk.format("OPTIONS") end
  return wrk.format("POST", nil, nil, next_body())
end

function response(status)
  if ended_s then return end
  answered = answered + 1
  if status ~= 200 then refused = refused + 1 end
end

function done(summary)
  local thread = threads[1]
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"answered": %d, "refused": %d, "errors": %d, "seconds": %.6f}\n',
    thread:get("answered"), thread:get("refused"),
    errors.connect + errors.read + errors.write + errors.timeout,
    (thread:get("ended_s") or 0) - (thread:get("began_s") or 0)))
end
