-- Compare and delete.
-- ARGV: address, process, then id and the latest stamp to delete, of each release
-- -> OK | LOST
local address = ARGV[1]
if not member(address, ARGV[2]) then return 'LOST' end
for i = 3, #ARGV, 2 do
  local id, upto = ARGV[i], ARGV[i + 1]
  local place = redis.call('HGET', places, id)
  local stamp, holder = owner(redis.call('HGET', owns, id))
  if holder == address then
    if tonumber(stamp) <= tonumber(upto) then
      redis.call('HDEL', owns, id)
      redis.call('SREM', mine, id)
      if place == address then redis.call('HDEL', places, id) end
    end
  else
    -- Where a restore from a backup left the set out of step, this puts it right.
    redis.call('SREM', mine, id)
    if not holder and place == address then redis.call('HDEL', places, id) end
  end
end
return 'OK'
