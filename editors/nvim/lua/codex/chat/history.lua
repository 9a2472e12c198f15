-- Saved items, as `session/read` gives them, as cells. The shapes are those of the model's API, in
-- which sessions are recorded, also those of the Codex CLI; what is not known is left out.

local output = require('codex.chat.output')
local patches = require('codex.chat.patches')

local M = {}

--- Pages come from the end to the beginning: the output of a call is in the call's page, or in one
--- that came before.
---@class codex.chat.History
---@field private folder string
---@field private outcomes table<string, {text: string, exit_code: integer?, seconds: number?}>
local History = {}
History.__index = History

---@param folder string that paths are relative to
---@return codex.chat.History
function M.new(folder)
  return setmetatable({ folder = folder, outcomes = {} }, History)
end

---@param value any
---@return table
local function object(value)
  if type(value) == 'string' then
    local ok, decoded = pcall(vim.json.decode, value, { luanil = { object = true, array = true } })
    return ok and type(decoded) == 'table' and decoded or {}
  end
  return type(value) == 'table' and value or {}
end

--- Before an output there may be lines about how the command went.
---@param text string
---@return {text: string, exit_code: integer?, seconds: number?}
local function with_head(text)
  local stop = select(2, text:find('Output:\n', 1, true))
  if not stop or stop > 300 then
    return { text = text }
  end
  local found = text:sub(1, stop)
  local code = found:match('Exit code: (-?%d+)\n') or found:match('exited with code (-?%d+)\n')
  local seconds = found:match('Wall time: ([%d.]+) seconds\n')
  if not code and not seconds then
    return { text = text }
  end
  return { text = text:sub(stop + 1), exit_code = tonumber(code), seconds = tonumber(seconds) }
end

--- Outputs were recorded as a text, as a JSON object in a text, and as parts.
---@param given any
---@return {text: string, exit_code: integer?, seconds: number?}
local function outcome(given)
  if type(given) == 'table' then
    local texts = {}
    for _, part in ipairs(given) do
      table.insert(texts, part.text or '[image]')
    end
    return { text = #texts > 0 and table.concat(texts, '\n') or given.content or '' }
  end
  local text = type(given) == 'string' and given or ''
  if vim.startswith(text, '{') then
    local inner = object(text)
    if type(inner.output) == 'string' then
      local facts = object(inner.metadata)
      local seconds = tonumber(facts.duration_seconds)
      return { text = inner.output, exit_code = tonumber(facts.exit_code), seconds = seconds }
    end
  end
  return with_head(text)
end

local NOT_RUN =
  { '^exec command rejected by user', '^patch rejected by user', '^aborted', '^not run: ' }

---@param found {text: string, exit_code: integer?}?
---@return codex.chat.CallState
local function state(found)
  if not found then
    return 'skipped'
  end
  for _, pattern in ipairs(NOT_RUN) do
    if found.text:find(pattern) then
      return 'skipped'
    end
  end
  return (found.exit_code or 0) == 0 and 'done' or 'failed'
end

---@param name string?
---@param given table
---@return string?
local function patch_in(name, given)
  local command = given.command
  local is_command = type(command) == 'table' and tostring(command[1]):find('^apply_?patch$')
  local text = is_command and command[2] or given.input or given.patch
  if (is_command or name == 'apply_patch') and type(text) == 'string' then
    local stop = text:find('\n%*%*%* End Patch')
    return text:find('*** Begin Patch', 1, true) and text:sub(1, (stop or 0) - 1) or nil
  end
end

---@param item table
---@param name string?
---@param given table
---@return codex.chat.Cell
function History:call(item, name, given)
  local found = self.outcomes[item.call_id or item.id]
  local cell = { state = state(found), folder = self.folder }
  local patch = patch_in(name, given)
  local command = given.command or given.cmd
  if patch then
    cell.kind, cell.files = 'patch', patches.of_text(patch)
    for _, file in ipairs(cell.files) do
      file.path = vim.fs.joinpath(self.folder, file.path)
      file.to = file.to and vim.fs.joinpath(self.folder, file.to)
    end
    cell.problem = cell.state == 'failed' and found.text or nil
    return cell
  elseif name == 'update_plan' and type(given.plan) == 'table' then
    return { kind = 'plan', steps = given.plan, explanation = given.explanation }
  end
  cell.seconds = found and found.seconds
  cell.exit_code = found and cell.state ~= 'skipped' and found.exit_code or nil
  cell.output = found and output.new(found.text) or nil
  if type(command) == 'string' or type(command) == 'table' then
    cell.kind, cell.command = 'command', command
    cell.cwd = given.workdir or given.working_directory
  else
    cell.kind, cell.name = 'tool', name or 'a tool'
    cell.input = next(given) and require('codex.approval.text').json(given) or nil
  end
  return cell
end

local INJECTED =
  { '^<environment_context>', '^<user_instructions>', '^# AGENTS%.md instructions for ' }

---@param text string
---@return boolean
local function is_injected(text)
  for _, pattern in ipairs(INJECTED) do
    if text:find(pattern) then
      return true
    end
  end
  return false
end

---@param text string
---@return string
local function unescaped(text)
  return (text:gsub('&quot;', '"'):gsub('&lt;', '<'):gsub('&gt;', '>'):gsub('&amp;', '&'))
end

--- A part of a message of the user's, as the item of an input that it came from.
---@param part table
---@return table?
local function input_item(part)
  if part.type == 'input_image' then
    return { type = 'image' }
  end
  local text = part.text or ''
  local tag, quoted, attributes = text:match('^<(%l+) path="([^"]*)"([^>\n]*)>\n')
  if tag == 'file' or tag == 'selection' then
    local first, last = attributes:match('lines="(%d+)%-?(%d*)"')
    local range = first
      and {
        start = { line = tonumber(first) - 1, character = 0 },
        ['end'] = { line = tonumber(last) or tonumber(first), character = 0 },
      }
    local type = tag == 'file' and 'mention' or 'selection'
    return { type = type, path = unescaped(quoted), range = range or nil }
  end
  return not is_injected(text) and { type = 'text', text = text } or nil
end

---@param content any
---@return table[]
local function parts(content)
  return type(content) == 'string' and { { type = 'text', text = content } } or content or {}
end

---@param item table
---@return codex.chat.Cell[]
function History:message(item)
  if item.role == 'user' then
    local items = {}
    for _, part in ipairs(parts(item.content)) do
      table.insert(items, input_item(part))
    end
    return #items > 0 and { { kind = 'user', items = items, folder = self.folder } } or {}
  elseif item.role ~= 'assistant' then
    return {}
  end
  local texts = {}
  for _, part in ipairs(parts(item.content)) do
    table.insert(texts, part.text or part.refusal)
  end
  local text = table.concat(texts)
  return text:find('%S') and { { kind = 'message', text = text } } or {}
end

---@param item table
---@return codex.chat.Cell[]
local function reasoning(item)
  local list = {}
  for _, part in ipairs(vim.list_extend(parts(item.summary), parts(item.content))) do
    if part.text and part.text:find('%S') then
      table.insert(list, { kind = 'reasoning', text = part.text })
    end
  end
  return list
end

---@param item table
---@return codex.chat.Cell[]
function History:cells_of(item)
  if item.type == 'message' then
    return self:message(item)
  elseif item.type == 'reasoning' then
    return reasoning(item)
  elseif item.type == 'function_call' then
    return { self:call(item, item.name, object(item.arguments)) }
  elseif item.type == 'custom_tool_call' then
    return { self:call(item, item.name, { input = item.input }) }
  elseif item.type == 'local_shell_call' then
    return { self:call(item, 'shell', object(item.action)) }
  elseif item.type == 'web_search_call' then
    return { self:call(item, 'web_search', object(item.action)) }
  end
  return {}
end

local BY_AGENT =
  { message = true, reasoning = true, command = true, patch = true, plan = true, tool = true }

--- The cells of a page, with a heading behind each word of the user's.
---@param entries {index: integer, item: table}[] in order
---@param following codex.chat.Cell? what is shown below them
---@return codex.chat.Cell[]
function History:cells(entries, following)
  for _, entry in ipairs(entries) do
    local item = entry.item
    if tostring(item.type):find('_call_output$') and item.call_id then
      self.outcomes[item.call_id] = outcome(item.output)
    end
  end
  local all = {}
  for _, entry in ipairs(entries) do
    vim.list_extend(all, self:cells_of(entry.item))
  end
  table.insert(all, following)
  local list = {}
  for i, cell in ipairs(all) do
    local before = all[i - 1]
    if before and before.kind == 'user' and BY_AGENT[cell.kind] then
      table.insert(list, { kind = 'heading' })
    end
    table.insert(list, cell)
  end
  if following then
    table.remove(list)
  end
  return list
end

return M
