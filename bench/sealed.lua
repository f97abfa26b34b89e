-- wrk sends a corpus: request bodies in order, each after its length (4 bytes, big-endian).
--
--   wrk -t1 ... -s sealed.lua URL -- CORPUS once|again CONTENT-TYPE
--
-- "once" sends no body twice: after the last one it sends requests that no server answers with 200,
-- so that a corpus that is too small is detected. "again" starts over. `done` prints one line of JSON.
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  corpus = assert(io.open(args[1], "rb"))
  again = args[2] == "again"
  sent, answered, refused = 0, 0, 0
  wrk.headers["Content-Type"] = args[3]
end

local function next_body()
  local length = corpus:read(4)
  if length == nil then return nil end
  local a, b, c, d = length:byte(1, 4)
  return corpus:read(((a * 256 + b) * 256 + c) * 256 + d)
end

function request()
  local body = next_body()
  if body == nil and again then
    corpus:seek("set")
    body = next_body()
  end
  sent = sent + 1
  return wrk.format("POST", nil, nil, body or "the corpus is used up")
end

function response(status)
  answered = answered + 1
  if status ~= 200 then refused = refused + 1 end
end

function done(summary)
  local thread = threads[1]
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"answered": %d, "refused": %d, "errors": %d, "sent": %d, "seconds": %.6f}\n',
    thread:get("answered"), thread:get("refused"),
    errors.connect + errors.read + errors.write + errors.timeout,
    thread:get("sent"), summary.duration / 1e6))
end
