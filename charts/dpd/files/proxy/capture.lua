-- Copies sampled invocations and their answers to the uploader beside this proxy, under dataCapture.modelPod. Whatever goes
-- wrong with a copy costs the copy: it is dropped and counted, and its request knows nothing of it.
local metrics = require("metrics")

local capture = {}

-- share: percent of the invocations. input, output: what is copied. most: bytes of one payload, 0 for all of it.
-- memory: bytes that all copies together may hold. socket: where the uploader listens.
local settings
local held = 0
local queue, first, last = {}, 1, 0
local is_sending = false

local LOST_IN_MEMORY, LOST_ON_THE_WAY, LOST_AT_UPLOADER = "proxy_full", "uploader_unreachable", "uploader_full"
-- What a record takes beside its payloads, at most.
local ABOUT = 4096
local OUTCOMES = { "handed_over", LOST_IN_MEMORY, LOST_ON_THE_WAY, LOST_AT_UPLOADER }

function capture.setup(given)
  settings = given
end

function capture.start()
  math.randomseed(ngx.time() * 1000 + ngx.worker.pid())
end

local function kept_of(size)
  return settings.most > 0 and math.min(size, settings.most) or size
end

-- What a copy of this request's body takes: the body, which is read whole, and what is kept of it. nil: unknown.
local function room_of_body()
  local length = settings.input and tonumber(ngx.var.http_content_length)
  return length and length + kept_of(length)
end

-- Decides on a copy. A body is copied from where it is read whole, for an engine cannot begin before that either; one of
-- unknown length, or one that finds no room, passes as it comes. A drain is the router's own affair, and no client's.
function capture.choose()
  local is_wanted = metrics.is_invocation() and ngx.var.http_x_dpd_transfer ~= "drain"
  if not is_wanted or math.random() * 100 >= settings.share then
    return
  end
  if held + ABOUT > settings.memory then
    return metrics.count("capture:" .. LOST_IN_MEMORY)
  end
  local room = room_of_body()
  if not room or held + ABOUT + room > settings.memory then
    ngx.var.copied = "answer"
    return
  end
  ngx.var.copied = "both"
  return ngx.exec("@copied")
end

-- Follows choose without a pause, so what had room there has room here.
function capture.begin()
  local what = ngx.var.copied
  if what == "" then
    return
  end
  local copy = { began = ngx.now(), body = 0, held = ABOUT, parts = {}, kept = 0, size = 0 }
  copy.input_size = tonumber(ngx.var.http_content_length)
  if what == "both" then
    copy.body = copy.input_size
    copy.held = ABOUT + room_of_body()
  end
  held = held + copy.held
  ngx.ctx.copy = copy
end

-- Gives up a copy; the body in nginx's own memory stays until the request has ended.
local function lose(copy, why)
  held = held - copy.held + copy.body
  copy.held, copy.is_lost, copy.parts, copy.input = copy.body, true, nil, nil
  metrics.count("capture:" .. why)
end

function capture.read()
  local copy = ngx.ctx.copy
  if copy and copy.body > 0 then
    ngx.req.read_body()
    local body = ngx.req.get_body_data() or ""
    copy.input = body:sub(1, kept_of(#body))
  end
end

function capture.chunk()
  local copy = ngx.ctx.copy
  if not copy or copy.is_lost or not settings.output then
    return
  end
  local chunk = ngx.arg[1]
  copy.size = copy.size + #chunk
  copy.is_whole = ngx.arg[2]
  local piece = chunk:sub(1, kept_of(copy.kept + #chunk) - copy.kept)
  if #piece == 0 then
    return
  end
  if held + #piece > settings.memory then
    return lose(copy, LOST_IN_MEMORY)
  end
  held = held + #piece
  copy.held = copy.held + #piece
  copy.kept = copy.kept + #piece
  copy.parts[#copy.parts + 1] = piece
end

-- The uploader speaks HTTP on its socket; a header's value is one line of text.
local function head_of(copy)
  local lines = { "POST /records HTTP/1.1", "Host: uploader" }
  local function add(name, value)
    if value and value ~= "" then
      lines[#lines + 1] = name .. ": " .. tostring(value):gsub("%c", " ")
    end
  end
  local sent, answered = ngx.req.get_headers(), ngx.resp.get_headers()
  local function header(name, headers, key)
    local value = headers[key]
    add(name, type(value) == "table" and table.concat(value, ", ") or value)
  end
  add("Content-Length", #(copy.input or "") + copy.kept)
  add("Record-Time", copy.began)
  add("Record-Path", ngx.var.uri)
  add("Record-Status", ngx.status)
  add("Input-Wanted", settings.input)
  add("Input-Size", copy.input_size)
  add("Input-Kept", copy.input and #copy.input)
  add("Output-Size", settings.output and copy.size)
  add("Output-Kept", settings.output and copy.kept)
  add("Output-Whole", copy.is_whole)
  header("Request-Id", sent, "x-request-id")
  header("Inference-Id", sent, "x-amzn-sagemaker-inference-id")
  header("Custom-Attributes", sent, "x-amzn-sagemaker-custom-attributes")
  header("Input-Type", sent, "content-type")
  header("Input-Encoding", sent, "content-encoding")
  header("Output-Type", answered, "content-type")
  header("Output-Encoding", answered, "content-encoding")
  return table.concat(lines, "\r\n") .. "\r\n\r\n"
end

-- Sends a request to the uploader and returns the status and the body of its answer; nil when there is no answer.
local function asked(parts)
  local socket = ngx.socket.tcp()
  socket:settimeouts(1000, 5000, 5000)
  if not socket:connect(settings.socket) then
    return nil
  end
  local status = socket:send(parts) and socket:receive("*l")
  local line, length = status, 0
  while line and line ~= "" do
    line = socket:receive("*l")
    length = tonumber(line and line:match("^Content%-Length: (%d+)")) or length
  end
  local body = line and (length == 0 and "" or socket:receive(length))
  if not body then
    socket:close()
    return nil
  end
  socket:setkeepalive(60000, 1)
  return status:match(" (%d+)"), body
end

local ANSWERS = { ["202"] = "handed_over", ["507"] = LOST_AT_UPLOADER }

local function send(record)
  return ANSWERS[asked(record.parts) or ""] or LOST_ON_THE_WAY
end

-- One record after the other, until there is none.
local function send_all()
  while first <= last do
    local record = queue[first]
    queue[first] = nil
    first = first + 1
    local sound, outcome = pcall(send, record)
    held = held - record.held
    metrics.count("capture:" .. (sound and outcome or LOST_ON_THE_WAY))
  end
  is_sending = false
end

-- The request has ended. What no engine has answered is no record: it was refused here, or nobody could be asked.
function capture.finish()
  local copy = ngx.ctx.copy
  if not copy then
    return
  end
  if copy.is_lost or not tonumber(ngx.var.upstream_header_time) then
    held = held - copy.held
    return
  end
  local kept = ABOUT + #(copy.input or "") + copy.kept
  held = held - copy.held + kept
  table.insert(copy.parts, 1, copy.input or "")
  table.insert(copy.parts, 1, head_of(copy))
  last = last + 1
  queue[last] = { parts = copy.parts, held = kept }
  if not is_sending then
    is_sending = ngx.timer.at(0, send_all) or false
  end
end

function capture.expose()
  metrics.head("dpd_capture_records_total", "counter", "Copies of invocations by what became of them in the proxy.")
  for _, outcome in ipairs(OUTCOMES) do
    metrics.say("dpd_capture_records_total", metrics.counted("capture:" .. outcome), 'outcome="' .. outcome .. '"')
  end
  metrics.head("dpd_capture_held_bytes", "gauge", "Memory that copies of invocations take in the proxy.")
  metrics.say("dpd_capture_held_bytes", held)
  -- What the uploader counts, with this pod's labels.
  local _, told = asked("GET /metrics HTTP/1.1\r\nHost: uploader\r\n\r\n")
  for line in (told or ""):gmatch("[^\n]+") do
    local name, value = line:match("^([%w_]+) (.+)$")
    if name then
      metrics.say(name, value)
    else
      ngx.say(line)
    end
  end
end

return capture
