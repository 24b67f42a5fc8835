-- Who has an id; the shadow answers where a foreign program deleted the entry.
-- ARGV: id
-- -> {} nobody | {address} a foreign node | {address, stamp, leased 0|1}
local place = redis.call('HGET', places, ARGV[1])
local stamp, holder = owner(redis.call('HGET', owns, ARGV[1]))
local address = place or holder
if not address then return {} end
if address ~= holder then return {address} end
return {address, stamp, lives(address) and 1 or 0}
