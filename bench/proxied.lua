-- wrk asks a forward proxy for one URL. `done` prints one line of JSON.
--
--   wrk -t1 ... -s proxied.lua PROXY -- URL [PROXY-AUTHORIZATION]
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  answered, refused = 0, 0
  local headers = { ["Host"] = args[1]:match("^http://([^/]+)") }
  if args[2] then headers["Proxy-Authorization"] = args[2] end
  text = wrk.format("GET", args[1], headers)
end

function request()
  return text
end

function response(status, _, body)
  answered = answered + 1
  if status ~= 200 or #body ~= 1024 then refused = refused + 1 end
end

function done(summary)
  local thread = threads[1]
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"answered": %d, "refused": %d, "errors": %d, "seconds": %.6f}\n',
    thread:get("answered"), thread:get("refused"),
    errors.connect + errors.read + errors.write + errors.timeout, summary.duration / 1e6))
end
