-- Finds the node of an id. If another program deleted the entry, the shadow still has the address.
-- ARGV: id
-- -> {} none | {address} written by another program | {address, stamp, leased 0|1}
local entry = redis.call('HGET', entries, ARGV[1])
local stamp, holder = owner(redis.call('HGET', shadows, ARGV[1]))
local address = entry or holder
if not address then return {} end
if address ~= holder then return {address} end
return {address, stamp, lives(address) and 1 or 0}
