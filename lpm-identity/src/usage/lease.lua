-- Takes or renews the lease of a PCM, and clears away what PCMs without one counted.
-- KEYS: leases, the epoch
-- ARGV: PCM, milliseconds that the lease lasts (0 gives it back), what the keys of flows begin with, the
-- epoch
-- Returns 1 if the PCM had a lease already, so that what it counted still counts, -2 if this is another
-- epoch.
local leases, pcm, lasts, prefix = KEYS[1], ARGV[1], tonumber(ARGV[2]), ARGV[3]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

if redis.call('HGET', KEYS[2], 'id') ~= ARGV[4] then return -2 end
local lease = redis.call('ZSCORE', leases, pcm)
local lived = lease and tonumber(lease) >= now

local function clear(dead)
  local flows = redis.call('HVALS', prefix .. dead)
  for i = 1, #flows do
    local account = string.match(flows[i], '^%d+ %d+ (.*)$')
    redis.call('HDEL', account, dead .. ':n', dead .. ':r', dead .. ':p')
  end
  redis.call('DEL', prefix .. dead)
  redis.call('ZREM', leases, dead)
end
for _, dead in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', '(' .. now)) do
  clear(dead)
end

if lasts > 0 then
  if not lived then clear(pcm) end
  redis.call('ZADD', leases, string.format('%.0f', now + lasts), pcm)
else
  clear(pcm)
end
return lived and 1 or 0
