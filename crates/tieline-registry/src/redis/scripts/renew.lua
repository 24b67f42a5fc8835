-- Renews the lease.
-- ARGV: address, process, the process's clock in µs, lease in ms, epoch in which it has refilled, or 0
-- -> {OK | REVIVED (it had expired), clock, epoch, entry count} | {LOST}
local address, process, reported = ARGV[2], ARGV[3], ARGV[6]
local holder, refilled = holder_of(address)
if holder ~= process then return {'LOST'} end
if not lives(address) then return {'REVIVED', renew(address, process, '0', ARGV[4], ARGV[5])} end
local current = epoch()
-- An earlier report of this epoch stays valid.
if refilled ~= current then refilled = reported == current and current or '0' end
return {'OK', renew(address, process, refilled, ARGV[4], ARGV[5])}
