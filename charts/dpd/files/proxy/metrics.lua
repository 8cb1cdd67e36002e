-- What the reverse proxy counts, in memory that its processes share, and how Prometheus reads it.
local metrics = {}

local store = ngx.shared.dpd_metrics
local BUCKETS = { 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 120000, 300000, 600000 }
local LABELS = {
  "resource_name", "resource_type", "namespace", "model_name", "model_version", "instance_type", "dpd_role",
  "cluster_id", "cluster_name", "model_container_type", "task_type",
}

local labels = ""
local invocation_path = "/invocations"

local function escaped(value)
  return (value:gsub("\\", "\\\\"):gsub('"', '\\"'):gsub("\n", "\\n"))
end

-- Labels are fixed for the life of the pod: they are written out once. An empty one is left out.
function metrics.setup()
  local parts = {}
  local function add(name, value)
    if value and value ~= "" then
      parts[#parts + 1] = name .. '="' .. escaped(value) .. '"'
    end
  end
  for _, name in ipairs(LABELS) do
    add(name, os.getenv("METRIC_LABEL_" .. name:upper()))
  end
  add("pod_name", os.getenv("POD_NAME"))
  add("node_name", os.getenv("NODE_NAME"))
  add("metric_source", "reverse-proxy")
  labels = table.concat(parts, ",")
  invocation_path = os.getenv("INVOCATION_PATH") or invocation_path
end

-- An invocation asks the model for something. Probes, scrapes and the list of models are none.
function metrics.is_invocation()
  if ngx.req.get_method() ~= "POST" then
    return false
  end
  local uri = ngx.var.uri
  return uri == invocation_path or uri == "/invocations" or uri:sub(1, 4) == "/v1/"
end

local function observe(name, milliseconds)
  local slot = #BUCKETS + 1
  for index, bound in ipairs(BUCKETS) do
    if milliseconds <= bound then
      slot = index
      break
    end
  end
  store:incr(name .. ":" .. slot, 1, 0)
  store:incr(name .. ":sum", milliseconds, 0)
end

function metrics.begin()
  if metrics.is_invocation() then
    ngx.ctx.invocation = true
    store:incr("concurrent", 1, 0)
  end
end

function metrics.first_byte()
  local context = ngx.ctx
  if context.invocation and not context.answered and ngx.arg[1] ~= "" then
    context.answered = true
    observe("ttfb", (ngx.now() - ngx.req.start_time()) * 1000)
  end
end

-- 499 is a client that left: no error of the model's.
function metrics.finish()
  if not ngx.ctx.invocation then
    return
  end
  store:incr("concurrent", -1, 0)
  store:incr("invocations", 1, 0)
  observe("latency", tonumber(ngx.var.request_time) * 1000)
  local status = ngx.status
  if status >= 500 then
    store:incr("errors:5xx", 1, 0)
  elseif status >= 400 and status ~= 499 then
    store:incr("errors:4xx", 1, 0)
  end
end

function metrics.count(key)
  store:incr(key, 1, 0)
end

function metrics.counted(key)
  return store:get(key) or 0
end

function metrics.head(name, kind, help)
  ngx.say("# HELP ", name, " ", help)
  ngx.say("# TYPE ", name, " ", kind)
end

-- One sample with the pod's labels and, if given, one of its own.
function metrics.say(name, value, own)
  ngx.say(name, "{", labels, own and "," .. own or "", "} ", value)
end

local function histogram(name, key, help)
  metrics.head(name, "histogram", help)
  local count = 0
  for slot = 1, #BUCKETS + 1 do
    count = count + metrics.counted(key .. ":" .. slot)
    metrics.say(name .. "_bucket", count, 'le="' .. (BUCKETS[slot] or "+Inf") .. '"')
  end
  metrics.say(name .. "_sum", metrics.counted(key .. ":sum"))
  metrics.say(name .. "_count", count)
end

-- A counter or gauge without labels of its own.
function metrics.single(name, kind, value, help)
  metrics.head(name, kind, help)
  metrics.say(name, value)
end

function metrics.expose()
  ngx.header["Content-Type"] = "text/plain; version=0.0.4; charset=utf-8"
  local total, now = metrics.counted("invocations"), metrics.counted("concurrent")
  metrics.single("model_invocations_total", "counter", total, "Invocations answered, whatever the answer.")
  metrics.single("model_concurrent_requests", "gauge", now, "Invocations being served now.")
  metrics.head("model_errors_total", "counter", "Invocations answered with an error, by the class of its status.")
  for _, class in ipairs({ "4xx", "5xx" }) do
    metrics.say("model_errors_total", metrics.counted("errors:" .. class), 'status_class="' .. class .. '"')
  end
  histogram("model_latency_milliseconds", "latency", "From an invocation's first byte to the last byte of its answer.")
  histogram("model_ttfb_milliseconds", "ttfb", "From an invocation's first byte to the first byte of its answer's body.")
end

return metrics
