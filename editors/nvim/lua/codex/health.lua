-- :checkhealth codex: why does nothing happen?

local M = {}

local DOCTOR_MS = 60000

--- Run a command of the server's program; what it writes.
---@param arguments string[]
---@param timeout_ms integer
---@return vim.SystemCompleted?, string? problem
local function run(arguments, timeout_ms)
  local config = require('codex.config').get()
  local cmd = vim.tbl_filter(function(argument)
    return argument ~= 'serve'
  end, config.cmd)
  local ok, result = pcall(function()
    return vim
      .system(vim.list_extend(cmd, arguments), {
        text = true,
        timeout = timeout_ms,
        env = next(config.env) and config.env or nil,
      })
      :wait()
  end)
  if not ok then
    return nil, tostring(result)
  elseif result.code == 124 and result.signal ~= 0 then
    return nil, ('no answer in %d s'):format(timeout_ms / 1000)
  end
  return result
end

local function check_neovim()
  vim.health.start('codex: Neovim')
  if vim.fn.has('nvim-0.10') == 1 then
    vim.health.ok(('Neovim %s'):format(tostring(vim.version())))
  else
    vim.health.error('Neovim is older than 0.10', 'install Neovim 0.10 or newer')
  end
  local parser = pcall(vim.treesitter.language.inspect, 'markdown')
  if parser then
    vim.health.ok('the chat is highlighted by treesitter (markdown)')
  else
    vim.health.warn('there is no treesitter parser for markdown: the chat has less colour')
  end
  local problems = require('codex.config').problems()
  for _, problem in ipairs(problems) do
    vim.health.error('setup(): ' .. problem, 'see :help codex-options')
  end
  if #problems == 0 then
    vim.health.ok('the options are fine')
  end
end

--- Whether the program is there and runs.
---@return boolean
local function check_program()
  vim.health.start('codex: the server')
  local cmd = require('codex.config').get().cmd
  local path = vim.fn.exepath(cmd[1])
  if path == '' then
    vim.health.error(('there is no `%s` that can be run'):format(cmd[1]), {
      'install it: pip install codex-rpc (or pipx, uv tool)',
      'or set `cmd` in setup() to where it is; Neovim looks in its own $PATH: ' .. vim.env.PATH,
    })
    return false
  end
  local result, problem = run({ '--version' }, 10000)
  if not result or result.code ~= 0 then
    problem = problem or vim.trim(result.stderr)
    vim.health.error(('%s does not run: %s'):format(path, problem), {
      'try it in a terminal: ' .. table.concat(cmd, ' ') .. ' --version',
    })
    return false
  end
  vim.health.ok(('%s (%s)'):format(vim.trim(result.stdout), path))
  return true
end

--- What the servers of this Neovim do.
---@param runs boolean whether the program does at all
local function check_servers(runs)
  local log = require('codex.log').path()
  local server_of = require('codex.server')
  -- Of those that were stopped, just the one of this project.
  local servers = vim.tbl_filter(function(server)
    return runs and (server.state ~= 'stopped' or server.root == server_of.root())
  end, server_of.all())
  if runs and #servers == 0 then
    vim.health.info('no server runs for this project yet; :Codex starts it')
  end
  for _, server in ipairs(servers) do
    local text = ('%s: %s'):format(vim.fn.fnamemodify(server.root, ':~'), server.state)
    if server.state == 'failed' then
      vim.health.error(('%s. %s'):format(text, server.problem), ':CodexLog, then :Codex')
    elseif server.state == 'waiting' then
      local again = 'it is started again by itself; :CodexLog says why it ended'
      vim.health.warn(('%s (%s)'):format(text, server.problem), again)
    elseif server.state == 'stopped' then
      vim.health.info(text .. '; :Codex starts it again')
    else
      vim.health.ok(text)
    end
  end
  vim.health.info('log: ' .. log .. ' (:CodexLog)')
end

---@param session codex.Session
---@return string[] reasons
local function silent_because(session)
  local reasons = {}
  for _, waiting in ipairs(session.waiting) do
    local kinds = { exec = 'a command', patch = 'a patch', mcp = 'a tool of an MCP server' }
    table.insert(reasons, ('%s waits for your answer: :CodexApprove'):format(kinds[waiting.kind]))
  end
  if session.status == 'disconnected' then
    table.insert(reasons, 'its server is gone; it goes on when that is back, see above')
  end
  if #session.inputs.list > 0 and session.status == 'idle' then
    table.insert(reasons, 'an input is on its way to the server')
  end
  if session.unsaved then
    table.insert(reasons, 'its file cannot be written: ' .. session.unsaved.message)
  end
  return reasons
end

local function check_sessions()
  vim.health.start('codex: sessions of this Neovim')
  local sessions = require('codex.sessions_open').all()
  if #sessions == 0 then
    vim.health.info('none is open; :Codex begins one, :CodexSessions lists the saved ones')
  end
  for _, session in ipairs(sessions) do
    local model = session.info.model or 'its model'
    local name = session.title or 'session ' .. session.id:sub(1, 8)
    local text = ('%s: %s'):format(name, session.status)
    local reasons = silent_because(session)
    if #reasons > 0 then
      vim.health.warn(text, reasons)
    elseif session.status == 'running' then
      vim.health.ok(('%s; %s is working, :CodexStop ends it'):format(text, model))
    else
      vim.health.ok(('%s; %s'):format(text, model))
    end
  end
end

--- What `codex-rpc doctor` finds, for the current project.
local function check_doctor()
  vim.health.start('codex: codex-rpc doctor')
  local root = require('codex.server').root()
  local result, problem = run({ 'doctor', '--json', '-C', root }, DOCTOR_MS)
  local ok, report = pcall(vim.json.decode, result and result.stdout or '')
  if not result or not ok or type(report) ~= 'table' or not report.checks then
    problem = problem or vim.trim(result.stderr)
    vim.health.error('it has no report: ' .. problem, 'try it in a terminal: codex-rpc doctor')
    return
  end
  local health = { warning = vim.health.warn, error = vim.health.error }
  for _, check in ipairs(report.checks) do
    local text = ('%s: %s'):format(check.name, check.text)
    if health[check.status] then
      local details = check.details or {}
      health[check.status](text, #details > 0 and details or nil)
    else
      vim.health.ok(text)
    end
  end
  vim.health.info(
    ('in a terminal, with all details: %s doctor'):format(require('codex.config').get().cmd[1])
  )
end

--- For Neovim's :checkhealth.
function M.check()
  check_neovim()
  local runs = check_program()
  check_servers(runs)
  check_sessions()
  if runs then
    check_doctor()
  end
end

return M
