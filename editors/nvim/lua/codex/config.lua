-- The options of `require('codex').setup`: what they are by default, and what they may be.

local M = {}

--- What may be given to `setup()`: any part of `codex.Config`.
---@class codex.Options: codex.Config

---@class codex.Config
local defaults = {
  --- The server and its arguments, e.g. `{ 'codex-rpc', '--oss' }`.
  ---@type string[]
  cmd = { 'codex-rpc' },
  --- Environment variables for the server, on top of Neovim's own.
  ---@type table<string, string>
  env = {},
  --- The project of a file is the nearest folder above it that has one of these, else the current
  --- folder. Each project has a server of its own.
  ---@type string[]
  root_markers = { '.git', '.hg', '.jj', '.svn' },
  --- For new sessions: parameters of `session/configure`, e.g.
  --- `{ model = 'gpt-5', approvalPolicy = 'untrusted' }`. Empty: what config.toml says.
  ---@type table<string, any>
  session = {},
  --- Every patch is shown before it is written, except under the policy `never`.
  ---@type boolean
  patch_review = true,
  --- Show files as the agent changes them, without moving the cursor there.
  ---@type boolean
  follow = false,
  --- Files that commands will read are saved first; `codex/saveDocuments` of the server. `false`:
  --- never, and the model is told which files are not saved.
  ---@type boolean
  save_documents = true,
  chat = {
    --- Where the chat opens: `'right'`, `'left'`, `'bottom'`, `'tab'` or `'float'`.
    ---@type 'right'|'left'|'bottom'|'tab'|'float'
    position = 'right',
    --- Its size: a part of the screen (0.4), or columns or lines (60).
    ---@type number
    size = 0.42,
    --- The lines of the input window.
    ---@type integer
    input_lines = 5,
  },
  approval = {
    --- The border of the floating window, as of `nvim_open_win`.
    ---@type string
    border = 'rounded',
  },
  sessions = {
    --- What sessions are picked with; `'auto'`: the first of these that is installed.
    ---@type 'auto'|'telescope'|'fzf-lua'|'snacks'|'select'
    picker = 'auto',
  },
  restart = {
    --- How long the server stays dead at first, in ms; twice as long after each further death.
    ---@type integer
    delay_ms = 500,
    --- How long it stays dead at most, in ms.
    ---@type integer
    max_delay_ms = 30000,
  },
}

--- What is more than a type: the values of texts, and keys that are free.
local choices = {
  ['chat.position'] = { 'right', 'left', 'bottom', 'tab', 'float' },
  ['sessions.picker'] = { 'auto', 'telescope', 'fzf-lua', 'snacks', 'select' },
}
local free = { env = 'string', session = true }
local lists = { cmd = true, root_markers = true }

---@type codex.Config
local current = vim.deepcopy(defaults)
---@type string[]
local problems = {}

--- The known key that is most like a wrong one, if any is.
---@param key string
---@param known table
---@return string?
local function alike(key, known)
  local best, best_score = nil, 2
  for name in pairs(known) do
    local score = 0
    for i = 1, math.min(#name, #key) do
      score = score + (name:sub(i, i) == key:sub(i, i) and 1 or 0)
    end
    for i = 1, math.min(#name, #key) do
      score = score + (name:sub(-i, -i) == key:sub(-i, -i) and 1 or 0)
    end
    score = score - math.abs(#name - #key)
    if score > best_score then
      best, best_score = name, score
    end
  end
  return best
end

---@param path string
---@param value any
---@param default any
---@return string? problem
local function wrong(path, value, default)
  if lists[path] then
    local fine = vim.islist(value) and #value > 0
    for _, part in ipairs(fine and value or {}) do
      fine = fine and type(part) == 'string'
    end
    return not fine and ('`%s` has to be a list of texts'):format(path) or nil
  end
  if type(value) ~= type(default) then
    local is = vim.inspect(value):gsub('%s+', ' ')
    return ('`%s` has to be a %s, and is %s'):format(path, type(default), is)
  end
  if choices[path] and not vim.list_contains(choices[path], value) then
    local names = table.concat(choices[path], '", "')
    return ('`%s` has to be one of "%s", and is "%s"'):format(path, names, value)
  end
  if type(default) == 'number' and value < 0 then
    return ('`%s` cannot be less than 0'):format(path)
  end
  if free[path] == 'string' then
    for name, text in pairs(value) do
      if type(name) ~= 'string' or type(text) ~= 'string' then
        return ('`%s` has to be texts by name; `%s` is not'):format(path, name)
      end
    end
  end
end

---@param into table
---@param opts table
---@param known table
---@param prefix string
---@param found string[]
local function merge(into, opts, known, prefix, found)
  for key, value in vim.spairs(opts) do
    local path = prefix .. tostring(key)
    if known[key] == nil then
      local like = type(key) == 'string' and alike(key, known)
      local hint = like and ('; did you mean `%s%s`?'):format(prefix, like) or ''
      table.insert(found, ('`%s` is no option%s'):format(path, hint))
    else
      local problem = wrong(path, value, known[key])
      if problem then
        table.insert(found, problem)
      elseif type(value) == 'table' and not lists[path] and not free[path] then
        merge(into[key], value, known[key], path .. '.', found)
      else
        into[key] = vim.deepcopy(value)
      end
    end
  end
end

--- Store options; what is wrong is left out, and said once. They count from the next session on.
---@param opts codex.Options
function M.set(opts)
  current, problems = vim.deepcopy(defaults), {}
  if type(opts) ~= 'table' then
    problems = { 'setup() takes a table' }
  else
    merge(current, opts, defaults, '', problems)
  end
  if #problems > 0 then
    local text = table.concat(problems, '\n  ')
    require('codex.notify').error(
      ('setup() has options that are left out; see :help codex-options\n  %s'):format(text)
    )
  end
end

--- The options that count.
---@return codex.Config
function M.get()
  return current
end

--- What was wrong in them.
---@return string[]
function M.problems()
  return problems
end

return M
