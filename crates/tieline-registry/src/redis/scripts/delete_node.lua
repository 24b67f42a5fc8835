-- Deletes those of the ids that stand under an address, whoever wrote them.
-- ARGV: address, then the ids
-- -> how many
local address, cleared = ARGV[1], 0
for i = 2, #ARGV do
  local id = ARGV[i]
  local place = redis.call('HGET', places, id)
  local _, holder = owner(redis.call('HGET', owns, id))
  if (place or holder) == address then cleared = cleared + 1 end
  if place == address then redis.call('HDEL', places, id) end
  if holder == address then
    redis.call('HDEL', owns, id)
    redis.call('SREM', mine, id)
  end
end
return cleared
