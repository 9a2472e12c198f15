-- What a person reads of a question: its words, as lines. Pure, so that it can be read in a test.

local M = {}

---@class codex.approval.Text
---@field title string
---@field lines string[]
--- Lines count from 1.
---@field code {first: integer, last: integer, syntax: string}? lines of another language
---@field labels {line: integer, width: integer, warn: boolean?}[] lines that begin with a label

local SANDBOX = {
  none = 'none: it may change whatever you may',
  ['read-only'] = 'read-only: it may change nothing',
  ['workspace-write'] = 'workspace-write: it may change files of the project',
}

--- What rows begin with.
M.LABELS = vim.split('in sandbox network because run.by arguments tool grants s call', ' ')
local LABEL_WIDTH = 10

--- One argument as a shell reads it. What does not print is written so that it shows.
---@param argument string
---@return string
local function quoted(argument)
  if argument:find('^[%w@%%+=:,./_-]+$') then
    return argument
  end
  if argument:find('[%z\1-\8\11-\31\127]') then
    local escaped = argument:gsub("[\\']", '\\%0'):gsub('[%z\1-\31\127]', function(character)
      return character == '\n' and '\\n' or ('\\x%02x'):format(character:byte())
    end)
    return ("$'%s'"):format(escaped)
  end
  return ("'%s'"):format((argument:gsub("'", "'\\''")))
end

--- A command as one would type it, and the shell that runs it if it is a shell's script.
---@param command string[]
---@return string text, string? shell
function M.command(command)
  local program = vim.fs.basename(command[1] or '')
  local is_shell = vim.list_contains({ 'bash', 'sh', 'zsh', 'dash' }, program)
  local takes_script = command[2] == '-c' or command[2] == '-lc'
  local script = command[3]
  if is_shell and takes_script and #command == 3 and not script:find('[%z\1-\8\11-\31\127]') then
    return script, ('%s %s'):format(command[1], command[2])
  end
  return table.concat(vim.tbl_map(quoted, command), ' '), nil
end

--- JSON, a member a line, names in order.
---@param value any
---@param indent string?
---@return string
function M.json(value, indent)
  indent = indent or ''
  if type(value) ~= 'table' or next(value) == nil then
    return vim.json.encode(value)
  end
  local deeper = indent .. '  '
  local parts = {}
  if vim.islist(value) then
    for _, part in ipairs(value) do
      table.insert(parts, deeper .. M.json(part, deeper))
    end
  else
    for name, part in vim.spairs(value) do
      table.insert(parts, ('%s%s: %s'):format(deeper, vim.json.encode(name), M.json(part, deeper)))
    end
  end
  local open, close = '{', '}'
  if vim.islist(value) then
    open, close = '[', ']'
  end
  return ('%s\n%s\n%s%s'):format(open, table.concat(parts, ',\n'), indent, close)
end

---@param text codex.approval.Text
---@param label string
---@param value string
---@param warn boolean?
local function row(text, label, value, warn)
  for i, line in ipairs(vim.split(vim.trim(value), '\n', { plain = true })) do
    local head = i == 1 and label or ''
    table.insert(text.lines, (' %-' .. LABEL_WIDTH .. 's%s'):format(head, line))
    if i == 1 then
      table.insert(text.labels, { line = #text.lines, width = 1 + LABEL_WIDTH, warn = warn })
    end
  end
end

---@param text codex.approval.Text
---@param code string
---@param syntax string
local function block(text, code, syntax)
  local first = #text.lines + 1
  -- The syntax of diffs knows them by their first column.
  local indent = syntax == 'diff' and '' or ' '
  for _, line in ipairs(vim.split((code:gsub('\n$', '')), '\n', { plain = true })) do
    table.insert(text.lines, indent .. line)
  end
  text.code = { first = first, last = #text.lines, syntax = syntax }
end

---@param path string
local function home(path)
  return vim.fn.fnamemodify(path, ':~')
end

local kinds = {}

---@param text codex.approval.Text
---@param msg table
function kinds.exec(text, msg, details)
  local code, shell = M.command(msg.command)
  text.title = msg.call_id:find('#2$') and 'Run it again, as the sandbox has stopped it?'
    or 'Run this command?'
  block(text, code, 'sh')
  table.insert(text.lines, '')
  row(text, 'in', home(msg.cwd))
  row(text, 'sandbox', SANDBOX[msg.sandbox] or msg.sandbox, msg.sandbox == 'none')
  row(text, 'network', msg.network and 'yes' or 'no', msg.network)
  if msg.reason and vim.trim(msg.reason) ~= '' then
    row(text, 'because', msg.reason)
  end
  if details then
    if shell then
      row(text, 'run by', shell)
    end
    row(text, 'arguments', M.json(msg.command))
    row(text, 's', 'allows the same command, directory, sandbox and network until the session ends')
  end
end

---@param text codex.approval.Text
---@param msg table
function kinds.mcp(text, msg, details)
  local call = msg.invocation
  text.title = 'Use this tool?'
  row(text, 'tool', ('%s of the server %s'):format(call.tool, call.server))
  if msg.reason and vim.trim(msg.reason) ~= '' then
    row(text, 'because', msg.reason)
  end
  table.insert(text.lines, '')
  block(text, M.json(call.arguments or vim.empty_dict()), 'json')
  if details then
    table.insert(text.lines, '')
    row(
      text,
      's',
      'allows this tool of this server, whatever its arguments, until the session ends'
    )
  end
end

--- A patch as one unified diff.
---@param changes table<string, any> of the request
---@return string
function M.diff(changes)
  local parts = {}
  for path, change in vim.spairs(changes) do
    local name = vim.fn.fnamemodify(path, ':~:.')
    if change == 'delete' then
      table.insert(parts, ('--- %s\n+++ /dev/null\n(the file is removed)\n'):format(name))
    elseif change.add then
      local added = '+' .. change.add.content:gsub('\n$', ''):gsub('\n', '\n+')
      table.insert(parts, ('--- /dev/null\n+++ %s\n%s\n'):format(name, added))
    else
      local to = change.update.move_path
      to = to and vim.fn.fnamemodify(to, ':~:.') or name
      table.insert(parts, ('--- %s\n+++ %s\n%s'):format(name, to, change.update.unified_diff))
    end
  end
  return table.concat(parts, '\n')
end

---@param text codex.approval.Text
---@param msg table
function kinds.patch(text, msg)
  text.title = 'Apply this patch?'
  if msg.reason and vim.trim(msg.reason) ~= '' then
    row(text, 'because', msg.reason)
  end
  if msg.grant_root then
    row(text, 'grants', 'writing anywhere under ' .. home(msg.grant_root), true)
  end
  if #text.lines > 0 then
    table.insert(text.lines, '')
  end
  block(text, M.diff(msg.changes), 'diff')
end

--- The words of a question.
---@param waiting codex.Waiting
---@param details boolean? with what is seldom asked for
---@return codex.approval.Text
function M.of(waiting, details)
  local text = { title = '', lines = {}, labels = {} }
  kinds[waiting.kind](text, waiting.msg, details)
  if details then
    row(text, 'call', waiting.call_id)
  end
  return text
end

--- A question in a few words, on one line: for a notice.
---@param waiting codex.Waiting
---@return string
function M.brief(waiting)
  local msg = waiting.msg
  local what
  if waiting.kind == 'exec' then
    what = ('run `%s`'):format((M.command(msg.command)))
  elseif waiting.kind == 'mcp' then
    what = ('use %s.%s'):format(msg.invocation.server, msg.invocation.tool)
  else
    local names = {}
    for path in vim.spairs(msg.changes) do
      table.insert(names, vim.fn.fnamemodify(path, ':t'))
    end
    what = 'change ' .. table.concat(names, ', ')
  end
  return (what:gsub('[%c%s]+', ' '))
end

return M
