-- :CodexModel: which model answers from the next turn on.

local M = {}

--- How many saved sessions are looked at for models that were used before.
local SESSIONS = 100

---@param session codex.Session
---@param model string
local function choose(session, model)
  local op = { type = 'override_turn_context', model = model }
  session:submit(op, function(err)
    if err then
      require('codex.notify').error(err, 'The model stays as it is')
    else
      require('codex.statusline').refresh()
      require('codex.notify').info(('%s answers from the next turn on'):format(model))
    end
  end)
end

---@param session codex.Session
local function ask_for_name(session)
  local now = session.info.model
  vim.ui.input({ prompt = 'Model: ', default = now }, function(name)
    name = name and vim.trim(name) or ''
    if name ~= '' and name ~= now then
      choose(session, name)
    end
  end)
end

--- The models that this provider was used with, the current one first.
---@param session codex.Session
---@param callback fun(models: string[])
local function used(session, callback)
  local now, provider = session.info.model, session.info.modelProvider
  session.server:request('session/list', { limit = SESSIONS }, function(_, page)
    local models, seen = {}, {}
    local function add(model)
      if model and model ~= '' and not seen[model] then
        seen[model] = true
        table.insert(models, model)
      end
    end
    add(now)
    for _, saved in ipairs(page and page.sessions or {}) do
      if provider == nil or saved.modelProvider == provider then
        add(saved.model)
      end
    end
    callback(models)
  end)
end

--- Choose the model of the current session; without a name, from those that were used before, or by
--- typing one. The server tells of no others.
---@param name string?
function M.pick(name)
  require('codex.sessions_open').ensure(function(err, session)
    if err or not session then
      require('codex.notify').error(err or 'there is no session', 'The model stays as it is')
    elseif name then
      choose(session, name)
    else
      used(session, function(models)
        local other = 'another one …'
        table.insert(models, other)
        vim.ui.select(models, {
          prompt = ('Model (provider %s):'):format(session.info.modelProvider or 'unknown'),
          kind = 'codex.model',
          format_item = function(model)
            return model == session.info.model and model .. '  (now)' or model
          end,
        }, function(model)
          if model == other then
            ask_for_name(session)
          elseif model and model ~= session.info.model then
            choose(session, model)
          end
        end)
      end)
    end
  end)
end

return M
