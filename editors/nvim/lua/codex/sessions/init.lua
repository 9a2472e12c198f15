-- Saved sessions: picking one, with whatever picker is there, and opening one by its id.

local M = {}

---@class codex.sessions.Picker
---@field is_there fun(): boolean
---@field limit fun(): integer? how many sessions a page should have
---@field show fun(list: codex.sessions.List, on: codex.sessions.On)

---@class codex.sessions.On what a picker tells
---@field choose fun(entry: codex.sessions.Entry) the entry was chosen
---@field act fun(name: string, entry: codex.sessions.Entry) something is to be done with it
---@field search fun()

local PICKERS = { 'telescope', 'fzf-lua', 'snacks', 'select' }

---@return codex.sessions.Picker
local function picker()
  local wanted = require('codex.config').get().sessions.picker
  local names = wanted == 'auto' and PICKERS or { wanted }
  for _, name in ipairs(names) do
    local module = require('codex.sessions.' .. name:gsub('-', '_'))
    if module.is_there() then
      return module
    end
  end
  require('codex.notify').warn(
    ('%s is not installed; vim.ui.select is used. Set `sessions.picker` in setup()'):format(wanted)
  )
  return require('codex.sessions.select')
end

local fetch

--- Look at other sessions.
---@param query codex.sessions.Query
local function look(query)
  local list = require('codex.sessions.list').new(require('codex.server').get(), query)
  fetch(list, picker())
end

---@param list codex.sessions.List
---@param with codex.sessions.Picker
local function show(list, with)
  ---@param change codex.sessions.Query
  local function other(change)
    look(vim.tbl_extend('force', list.query, change))
  end

  local function again(changed)
    if changed then
      other({})
    end
  end

  ---@type codex.sessions.On
  local on = {
    choose = function(entry)
      if entry.session then
        require('codex.sessions.actions').resume(entry.session, again)
      elseif entry.more == 'page' then
        fetch(list, with)
      elseif entry.more == 'archived' then
        other({ archived = not list.query.archived })
      else
        look({ query = list.query.query, archived = list.query.archived })
      end
    end,
    act = function(name, entry)
      if entry.session then
        require('codex.sessions.actions')[name](entry.session, again)
      end
    end,
    search = function()
      vim.ui.input({ prompt = 'Sessions with: ', default = list.query.query }, function(words)
        if words then
          local query = vim.deepcopy(list.query)
          query.query = vim.trim(words) ~= '' and vim.trim(words) or nil
          look(query)
        end
      end)
    end,
  }
  with.show(list, on)
end

---@param list codex.sessions.List
---@param with codex.sessions.Picker
function fetch(list, with)
  list.limit = with.limit and with.limit() or nil
  list:fetch(function(err)
    if err then
      require('codex.notify').error(err, 'The sessions cannot be listed')
    elseif #list:entries() == 0 then
      local hint = list.query.query and ':CodexSessions without words lists all'
        or ':Codex begins one'
      require('codex.notify').info(('there are no %s; %s'):format(list:heading():lower(), hint))
    else
      show(list, with)
    end
  end)
end

---@class codex.sessions.Options
---@field query string? words that have to be found in them
---@field cwd string? the folder; default: the current project
---@field all boolean? of all folders
---@field archived boolean? those that are archived

--- Pick a saved session.
---@param opts codex.sessions.Options?
function M.pick(opts)
  opts = opts or {}
  look({
    query = opts.query,
    archived = opts.archived,
    cwd = opts.cwd or (not opts.all and require('codex.server').root() or nil),
  })
end

--- Go on with a session: the last one of the project, or the one with an id.
---@param id string `'last'`, or an id
function M.resume(id)
  if id ~= 'last' then
    require('codex.sessions.actions').resume({ sessionId = id }, function() end)
    return
  end
  local server = require('codex.server').get()
  require('codex.session').resume(server, { last = true }, function(err, session)
    if session then
      require('codex.sessions.actions').show(session)
    else
      require('codex.notify').error(err, 'There is nothing to go on with')
    end
  end)
end

--- Complete the argument of :CodexResume: `last`, and the ids of the project's sessions. They are
--- asked for; until they are known nothing is offered, and then the key is pressed once more.
---@param start string
---@return string[]
function M.complete(start)
  local list = require('codex.sessions.list')
  local known = list.listed
  local line = vim.fn.getcmdline()
  local server = require('codex.server').get()
  list.new(server, { cwd = server.root }):fetch(function(err)
    local unchanged = vim.fn.getcmdtype() == ':' and vim.fn.getcmdline() == line
    if not known and not err and unchanged and vim.o.wildchar > 0 then
      vim.api.nvim_feedkeys(vim.fn.nr2char(vim.o.wildchar), 'nt', false)
    end
  end)
  if not known then
    return {}
  end
  return vim.tbl_filter(function(name)
    return vim.startswith(name, start)
  end, vim.list_extend({ 'last' }, list.ids))
end

return M
