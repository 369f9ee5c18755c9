-- Health of the kinds of ehrconnector.io in Argo CD, one script for all four. Only the base and table libraries are needed.
--
-- Healthy      does what the spec asks for
-- Progressing  the operator is at it, or waits for another object
-- Suspended    spec.suspend, or the rest is up to people outside the cluster: a visit on the Test endpoint, a verification
-- Degraded     somebody must act, or the last attempts failed

local function health(status, message)
  return { status = status, message = message }
end

local AWAITED = {
  AwaitingEvidence = true,
  FormerProfileServed = true,
  VerificationPending = true,
  VerificationNotStated = true,
}
local ATTEMPTS = 3

local status = obj.status or {}
local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end
local ready = conditions.Ready or { status = "Unknown", reason = "", message = "the operator has not looked yet" }
local function is(type, value)
  return conditions[type] ~= nil and conditions[type].status == value
end

if obj.metadata.deletionTimestamp ~= nil then
  return health("Progressing", "is being deleted: " .. ready.message)
end
if status.observedGeneration ~= obj.metadata.generation then
  return health("Progressing", "the operator has not looked at this generation yet")
end
if obj.spec.suspend then
  return health("Suspended", ready.message)
end
if ready.status == "True" then
  return health("Healthy", ready.message)
end
if is("Stalled", "True") then
  return health("Degraded", ready.message)
end
if AWAITED[ready.reason] then
  return health("Suspended", ready.message)
end
local failures = status.retry ~= nil and status.retry.failures or 0
if failures >= ATTEMPTS or is("Validated", "False") or is("Drifted", "True") then
  return health("Degraded", ready.message)
end
return health("Progressing", ready.message)
