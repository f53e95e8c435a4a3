-- Takes away what is counted for a flow, if anything is.
-- KEYS: this PCM's flows
-- ARGV: PCM, flow
local pcm, flow = ARGV[1], ARGV[2]
local old = redis.call('HGET', KEYS[1], flow)
if not old then return 0 end
local rate, peak, account = string.match(old, '^(%d+) (%d+) (.*)$')
redis.call('HDEL', KEYS[1], flow)
-- With the last lease everything of this PCM may be gone already.
if redis.call('HEXISTS', account, pcm .. ':n') == 0 then return 0 end
if redis.call('HINCRBY', account, pcm .. ':n', -1) <= 0 then
  redis.call('HDEL', account, pcm .. ':n', pcm .. ':r', pcm .. ':p')
else
  redis.call('HINCRBY', account, pcm .. ':r', '-' .. rate)
  redis.call('HINCRBY', account, pcm .. ':p', '-' .. peak)
end
return 0
