-- Which epoch of the server this is. It begins anew with a server that was started again, or that knows
-- of none: it may have forgotten what was counted.
-- KEYS: epoch
-- ARGV: the server's run, the id of a new epoch, milliseconds that leases last
-- Returns the id, and for how many milliseconds nothing new is granted: until every PCM has put back what
-- it counts, or its lease is over.
local run, fresh, lasts = ARGV[1], ARGV[2], tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = redis.call('HMGET', KEYS[1], 'run', 'id', 'settles')
if known[1] == run and known[2] and known[3] then
  return {known[2], math.max(0, tonumber(known[3]) - now)}
end
redis.call('HSET', KEYS[1], 'run', run, 'id', fresh, 'settles', string.format('%.0f', now + lasts))
return {fresh, lasts}
