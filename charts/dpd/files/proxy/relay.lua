-- What happens to a request in each of nginx's phases, in order. Limits and copies are there when the manifest asks for them.
local metrics = require("metrics")
local unreachable = require("unreachable")

local relay = {}

local limits, capture

-- given: {limits = …, capture = …}, each nil when it is off.
function relay.setup(given)
  metrics.setup()
  if given.limits then
    limits = require("limits")
    limits.setup(given.limits)
  end
  if given.capture then
    capture = require("capture")
    capture.setup(given.capture)
  end
end

-- In the process that serves.
function relay.start()
  if limits then
    limits.start()
  end
  if capture then
    capture.start()
  end
end

function relay.rewrite()
  return capture.choose()
end

function relay.access()
  metrics.begin()
  if capture then
    capture.begin()
  end
  if limits then
    limits.enter()
  end
  if capture then
    capture.read()
  end
end

function relay.head()
  unreachable.head()
end

function relay.body()
  unreachable.body()
  metrics.first_byte()
  if capture then
    capture.chunk()
  end
end

function relay.finish()
  metrics.finish()
  if limits then
    limits.leave()
  end
  if capture then
    capture.finish()
  end
end

function relay.expose()
  metrics.expose()
  if limits then
    limits.expose()
  end
  if capture then
    capture.expose()
  end
end

return relay
