-- Deletes those of the ids that have this address, no matter who wrote them.
-- ARGV: address, then the ids
-- -> the number of deleted ids
local address, deleted = ARGV[2], 0
for i = 3, #ARGV do
  local id = ARGV[i]
  local shared = is_shared(id)
  local entry = shared and redis.call('HGET', entries, id)
  local _, holder = owner(redis.call('HGET', shadows, id))
  if (entry or holder) == address then deleted = deleted + 1 end
  if entry == address then redis.call('HDEL', entries, id) end
  if holder == address then
    redis.call('HDEL', shadows, id)
    if not shared then count_unshared(-1) end
    redis.call('SREM', node_ids, id)
  end
end
return deleted
