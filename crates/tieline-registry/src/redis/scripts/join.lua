-- Takes the address for a process, or keeps it.
-- ARGV: address, process, process to replace ('' = none), the process's clock in µs, lease in ms, whether it
-- has connections 0|1
-- -> {OK, clock, epoch, entry count} | {BUSY, holder}
local address, process = ARGV[2], ARGV[3]
local holder = holder_of(address)
if holder and holder ~= process and holder ~= ARGV[4] and lives(address) then return {'BUSY', holder} end
local refilled = ARGV[7] == '1' and '0' or epoch()
return {'OK', renew(address, process, refilled, ARGV[5], ARGV[6])}
