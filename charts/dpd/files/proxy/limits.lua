-- How many invocations the engine gets at once, and how many may wait for their turn. One process serves all of them,
-- so a semaphore of its own counts them exactly; a process that dies takes its requests and their turns along.
local semaphore = require("ngx.semaphore")
local metrics = require("metrics")

local limits = {}

-- most: in service at once. room: more that may wait. patience: seconds they wait at most. status: of a refusal.
local settings
local turns
local waiting, refused = 0, 0

function limits.setup(given)
  settings = given
end

-- Semaphores belong to the process that serves; this runs in it. Below zero, a count is of those who wait.
function limits.start()
  turns = assert(semaphore.new(settings.most))
end

local function refuse()
  refused = refused + 1
  ngx.req.discard_body()
  ngx.status = settings.status
  ngx.header["Content-Type"] = "application/json"
  ngx.header["Retry-After"] = 1
  ngx.header["X-Dpd-Upstream"] = "limited"
  local current = settings.most - math.max(0, turns:count())
  ngx.print(
    ('{"error":"Too many concurrent requests","max_concurrent":%d,"max_queue_size":%d,"current":%d}'):format(
      settings.most,
      settings.room,
      current
    )
  )
  return ngx.exit(ngx.HTTP_OK)
end

-- Waiting is a state of the request: whoever is told of its end first takes it from the count.
local function waited(context)
  if context.waits then
    context.waits = nil
    waiting = waiting - 1
  end
end

-- Decoders hold pages for a request that names a transfer until it is read: it waits as long as it takes.
local function must_be_served()
  return settings.transfers and ngx.var.http_x_dpd_transfer ~= nil
end

-- Waits for a turn, or answers with a refusal. A client that leaves while it waits leaves the queue.
function limits.enter()
  local context = ngx.ctx
  if not context.invocation then
    return
  end
  local patience = settings.patience
  if must_be_served() then
    patience = 86400
  elseif -turns:count() >= settings.room then
    return refuse()
  end
  context.waits = true
  waiting = waiting + 1
  local has_turn = turns:wait(patience)
  waited(context)
  if not has_turn then
    return refuse()
  end
  context.has_turn = true
end

function limits.leave()
  waited(ngx.ctx)
  if ngx.ctx.has_turn then
    turns:post(1)
  end
end

function limits.expose()
  metrics.single("dpd_proxy_waiting_requests", "gauge", waiting, "Invocations that wait, under worker.requestLimits.")
  metrics.single("dpd_proxy_refused_requests_total", "counter", refused, "Invocations refused, under worker.requestLimits.")
end

return limits
