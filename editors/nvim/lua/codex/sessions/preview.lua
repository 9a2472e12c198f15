-- What a session was about, to be read before it is opened: its last items, as Markdown.

local M = {}

local ITEMS = 40
local OUTPUT_LINES = 12

---@param lines string[]
---@param text string
local function add(lines, text)
  vim.list_extend(lines, vim.split(text:gsub('%s+$', ''), '\n', { plain = true }))
end

---@param lines string[]
---@param language string
---@param text string
local function fenced(lines, language, text)
  -- A fence that is longer than any in the text.
  local fence = '```'
  while text:find(fence, 1, true) do
    fence = fence .. '`'
  end
  table.insert(lines, fence .. language)
  local all = vim.split(text:gsub('%s+$', ''), '\n', { plain = true })
  vim.list_extend(lines, vim.list_slice(all, 1, OUTPUT_LINES))
  if #all > OUTPUT_LINES then
    table.insert(lines, ('… %d more lines'):format(#all - OUTPUT_LINES))
  end
  vim.list_extend(lines, { fence, '' })
end

---@param value any
---@return string
local function decoded(value, member)
  local ok, object = pcall(vim.json.decode, value or '')
  if ok and type(object) == 'table' and object[member] ~= nil then
    return object[member]
  end
  return type(value) == 'string' and value or ''
end

local kinds = {}

function kinds.message(lines, item)
  local texts = {}
  for _, part in ipairs(item.content or {}) do
    table.insert(texts, part.text or ('(%s)'):format(part.type or 'something'))
  end
  vim.list_extend(lines, { item.role == 'user' and '## You' or '## Codex', '' })
  add(lines, table.concat(texts, '\n'))
  table.insert(lines, '')
end

function kinds.function_call(lines, item)
  local command = decoded(item.arguments, 'command')
  if type(command) == 'table' then
    fenced(lines, 'sh', '$ ' .. require('codex.approval.text').command(command))
  elseif item.name == 'apply_patch' then
    fenced(lines, 'diff', decoded(item.arguments, 'input'))
  else
    fenced(lines, '', ('%s %s'):format(item.name, item.arguments or ''))
  end
end

function kinds.function_call_output(lines, item)
  local output = decoded(item.output, 'output')
  if type(output) == 'string' and vim.trim(output) ~= '' then
    fenced(lines, '', output)
  end
end

--- The lines of a preview.
---@param session codex.sessions.Summary
---@param items {index: integer, item: table}[]
---@return string[]
function M.lines(session, items)
  local list = require('codex.sessions.list')
  local facts = { ('changed %s'):format(list.ago(session.updatedAt)) }
  if session.model then
    table.insert(facts, session.model)
  end
  if session.itemCount then
    table.insert(facts, ('%d items'):format(session.itemCount))
  end
  if session.cwd then
    table.insert(facts, vim.fn.fnamemodify(session.cwd, ':~'))
  end
  local lines = { '# ' .. list.title(session), '', table.concat(facts, ' · '), '' }
  for _, entry in ipairs(items) do
    local kind = kinds[entry.item.type]
    if kind then
      kind(lines, entry.item)
    end
  end
  return lines
end

--- Read a session's last items; the callback comes on the main loop, always with something to show.
---@param server codex.Server
---@param session codex.sessions.Summary
---@param callback fun(lines: string[])
function M.read(server, session, callback)
  if session.status == 'unreadable' then
    vim.schedule(function()
      local why =
        { '', 'It cannot be read: ' .. (session.reason or 'no reason is known'), session.path }
      callback(vim.list_extend(M.lines(session, {}), why))
    end)
    return
  end
  local params = { sessionId = session.sessionId, limit = ITEMS, direction = 'backward' }
  server:request('session/read', params, function(err, page)
    local lines = M.lines(session, page and page.items or {})
    if err then
      vim.list_extend(lines, { '', 'It cannot be read: ' .. err.message })
    end
    callback(lines)
  end)
end

--- Show a preview in a buffer once it has come, if the buffer is still there.
---@param server codex.Server
---@param session codex.sessions.Summary
---@param buffer integer
---@param shown fun()?
function M.fill(server, session, buffer, shown)
  M.read(server, session, function(lines)
    if not vim.api.nvim_buf_is_valid(buffer) then
      return
    end
    vim.bo[buffer].modifiable = true
    vim.api.nvim_buf_set_lines(buffer, 0, -1, false, lines)
    vim.bo[buffer].modifiable = false
    if not pcall(vim.treesitter.start, buffer, 'markdown') then
      vim.bo[buffer].syntax = 'markdown'
    end
    if shown then
      shown()
    end
  end)
end

return M
