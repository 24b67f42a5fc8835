-- KEYS: a roster  ARGV: cursor, about how many members
-- -> {tail, next cursor, or 0 after the last page, then user and "terms information" of each}
local page = redis.call('HSCAN', KEYS[8], ARGV[2], 'COUNT', ARGV[3])
local out = {tail(), page[1]}
for _, value in ipairs(page[2]) do out[#out + 1] = value end
return out
