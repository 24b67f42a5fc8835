-- A page of the ids whose shadow has an address, with their stamps; 0 for an id that only the set has, as after
-- a restore from a backup.
-- ARGV: address, cursor, page size
-- -> {next cursor, id, stamp, ...}
local page = redis.call('SSCAN', node_ids, ARGV[3], 'COUNT', ARGV[4])
local out = {page[1]}
for _, id in ipairs(page[2]) do
  if id ~= '' then
    local stamp, holder = owner(redis.call('HGET', shadows, id))
    out[#out + 1] = id
    out[#out + 1] = holder == ARGV[2] and stamp or '0'
  end
end
return out
