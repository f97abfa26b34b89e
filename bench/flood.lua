-- wrk requests logins, each with another name and address, until COUNT of them are answered.
--
--   wrk -t1 ... -s flood.lua URL -- COUNT NETWORK
--
-- NETWORK is the first number of the addresses, which a proxy on the loopback is trusted to name.
-- After the last response it prints one line of JSON: the numbers of accepted, rate-limited and other
-- responses. wrk itself continues to wait: stop it.
function init(args)
  count, network = tonumber(args[1]), args[2]
  sent, let_in, later, others = 0, 0, 0, 0
end

local hello = '{"v":1,"username":"visitor%d@example.org","suites":["ecdh-gcm"],"fresh":"clock","cn":"'
  .. string.rep("A", 43) .. '="}'

function request()
  sent = sent + 1
  local headers = {
    ["Content-Type"] = "application/json",
    ["X-Forwarded-For"] = string.format(
      "%s.%d.%d.%d", network, sent / 65536, sent / 256 % 256, sent % 256),
  }
  return wrk.format("POST", nil, headers, string.format(hello, sent))
end

function response(status)
  if status == 200 then let_in = let_in + 1
  elseif status == 429 then later = later + 1
  else others = others + 1 end
  if let_in + later + others == count then
    wrk.thread:stop()
    io.write(string.format('RESULT {"let_in": %d, "later": %d, "others": %d}\n', let_in, later, others))
    io.flush()
  end
end
