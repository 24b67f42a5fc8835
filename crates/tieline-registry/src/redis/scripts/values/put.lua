-- Keeps a value.
-- KEYS: the value, and no other: while a slot of a Redis Cluster moves, a script with one key is sent on to the server
--       that has it, or would; one with several is refused if any of them does not exist.
-- ARGV: "clock deadline", as for the scripts about clients; time to live in ms; value
local time = redis.call('TIME')
local caller_us, deadline_us = string.match(ARGV[1], '^(%d+) (%d+)$')
local now_us = math.max(time[1] * 1000000 + time[2], tonumber(caller_us))
-- What arrives late must not replace what was put since.
if tonumber(deadline_us) > 0 and now_us > tonumber(deadline_us) then
  return redis.error_reply('LATE ' .. string.format('%.0f', now_us))
end
return redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[2])
