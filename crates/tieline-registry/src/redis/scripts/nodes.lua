-- All nodes, including expired ones.
-- -> {address, process, leased 0|1, ...}
local out = {}
local all = redis.call('HGETALL', nodes)
for i = 1, #all, 2 do
  out[#out + 1] = all[i]
  out[#out + 1] = holder_of(all[i]) or ''
  out[#out + 1] = lives(all[i]) and 1 or 0
end
return out
