-- KEYS: a roster  ARGV: members at most
-- -> {tail, count, then user and "terms information" of each if there are no more}
local key = KEYS[8]
local out = {tail(), redis.call('HLEN', key)}
if out[2] <= tonumber(ARGV[2]) then
  for _, value in ipairs(redis.call('HGETALL', key)) do out[#out + 1] = value end
end
return out
