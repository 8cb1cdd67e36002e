-- Marks an answer that is the proxy's own because the engine gave none, so that a router can tell it from an engine's error.
local unreachable = {}

local BODY = '{"error":{"message":"The engine of this worker cannot be reached.","type":"upstream_error",'
  .. '"param":null,"code":"engine_unreachable"}}'

-- An engine that answered has sent a head, and that took some time, if only 0.000 s.
function unreachable.head()
  local is_ours = (ngx.status == 502 or ngx.status == 504) and ngx.var.upstream_header_time == "-"
  if is_ours then
    ngx.ctx.unreachable = true
    ngx.header["X-Dpd-Upstream"] = "unreachable"
    ngx.header["Content-Type"] = "application/json"
    ngx.header["Content-Length"] = #BODY
  end
end

function unreachable.body()
  if ngx.ctx.unreachable then
    ngx.arg[1] = ngx.arg[2] and BODY or ""
  end
end

return unreachable
