-- Releases ids: compares, then deletes.
-- ARGV: address, process, then for each release its id and the latest stamp to delete
-- -> OK | LOST
local address = ARGV[2]
if not holds(address, ARGV[3]) then return 'LOST' end
for i = 4, #ARGV, 2 do
  local id, up_to = ARGV[i], ARGV[i + 1]
  local shared = is_shared(id)
  local entry = shared and redis.call('HGET', entries, id)
  local stamp, holder = owner(redis.call('HGET', shadows, id))
  if holder == address then
    if tonumber(stamp) <= tonumber(up_to) then
      redis.call('HDEL', shadows, id)
      if not shared then count_unshared(-1) end
      redis.call('SREM', node_ids, id)
      if entry == address then redis.call('HDEL', entries, id) end
    end
  else
    -- After a restore from a backup, the set may list an id that is not the caller's: remove it.
    redis.call('SREM', node_ids, id)
    if not holder and entry == address then redis.call('HDEL', entries, id) end
  end
end
return 'OK'
