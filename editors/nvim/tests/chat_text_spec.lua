local S = require('support')

describe('a text in the transcript', function()
  local words = require('codex.chat.words')

  it('is broken at the same places, in whatever pieces it comes', function()
    math.randomseed(7)
    local parts = {}
    for i = 1, 900 do
      parts[i] = ('w'):rep(math.random(1, 9)) .. (math.random(400) == 1 and '\n' or ' ')
    end
    local text = table.concat(parts)
    local whole = words.continued(text, 0)
    T.eq(true, whole ~= text)
    for line in vim.gsplit(whole, '\n') do
      T.eq(true, #line <= words.MAX_LINE_BYTES + 10)
    end
    T.eq((text:gsub('\n', ' ')), (whole:gsub('\n', ' ')))
    for size = 1, 7 do
      local pieces, column, at = {}, 0, 1
      while at <= #text do
        local piece
        piece, column = words.continued(text:sub(at, at + size - 1), column)
        table.insert(pieces, piece)
        at = at + size
      end
      T.eq(whole, table.concat(pieces))
    end
  end)

  it('is closed if it leaves a code block open', function()
    T.eq(nil, words.open_fence('```lua\nx\n```\nbehind'))
    T.eq('```', words.open_fence('before\n```lua\nx'))
    T.eq('````', words.open_fence('````\n```\nx\n```'))
    T.eq('~~~', words.open_fence('~~~\n```\n'))
    T.eq(nil, words.open_fence('a ``` b'))
    T.eq('```', words.open_fence('```\n```lua'))
  end)

  it('has a fence that nothing in it can be taken for', function()
    T.eq('```', words.fence({ 'a', '``' }))
    T.eq('`````', words.fence({ 'a', '  ````lua' }))
    T.eq('``a`b``', words.code('a`b'))
    T.eq('`` `a` ``', words.code('`a`'))
  end)

  it('says durations and lines as a person does', function()
    T.eq('0.3 s', words.duration(0.26))
    T.eq('1 min 5 s', words.duration(65.2))
    T.eq('2 h 1 min', words.duration(7265))
    T.eq('1 line', words.counted(1, 'line'))
    local range = { start = { line = 4, character = 0 }, ['end'] = { line = 7, character = 0 } }
    T.eq('5-7', words.range(range))
    T.eq('lua/a.lua', words.path('/p/lua/a.lua', '/p'))
    T.eq('/q/a.lua', words.path('/q/a.lua', '/p'))
  end)
end)

describe('the output of a command', function()
  local output = require('codex.chat.output')

  it('is the same, in whatever pieces it comes', function()
    local text = 'one\r\n\27[1;31mtwo\27[0m\n10%\r50%\r100%\n\27]0;title\7three\n\27(Bfour'
    for size = 1, #text do
      local found = output.new()
      for at = 1, #text, size do
        found:add(text:sub(at, at + size - 1))
      end
      T.eq({ 'one', 'two', '100%', 'three', 'four' }, found:all())
    end
  end)

  it('is shown in part if it is long, and is there as a whole', function()
    local found = output.new()
    for i = 1, 1000 do
      found:add(i .. '\n')
    end
    local lines, left_out, at = found:shown()
    T.eq(output.HEAD + output.TAIL, #lines)
    T.eq(1000 - #lines, left_out)
    T.eq(tostring(at), lines[at])
    T.eq('1000', lines[#lines])
    T.eq(1000, #found:all())
  end)

  it('does not fill the memory', function()
    local most = output.MAX_KEPT_BYTES
    S.on_clean(function()
      output.MAX_KEPT_BYTES = most
    end)
    output.MAX_KEPT_BYTES = 1000
    local found = output.new()
    for i = 1, 5000 do
      found:add(('line %d\n'):format(i))
    end
    found:add('the end')
    local all = found:all()
    T.eq('line 1', all[1])
    T.eq({ 'line 5000', 'the end' }, vim.list_slice(all, #all - 1))
    T.eq(true, #all < 300)
    T.has('lines are not kept', table.concat(all, '\n'))
    local lines = found:shown()
    T.eq('the end', lines[#lines])
    T.eq('line 4999', lines[#lines - 2])
  end)

  it('breaks a line that never ends', function()
    local found = output.new()
    for _ = 1, 200 do
      found:add(('x'):rep(1000))
    end
    T.eq(true, #found:all() > 2)
    found = output.new()
    for i = 1, 10000 do
      found:add(('\rprogress %d'):format(i))
    end
    T.eq({ 'progress 10000' }, found:all())
  end)
end)

describe('the cells of a transcript', function()
  local transcripts = require('codex.chat.transcript')

  local function new()
    local buffer = vim.api.nvim_create_buf(false, true)
    S.on_clean(function()
      vim.api.nvim_buf_delete(buffer, { force = true })
    end)
    vim.bo[buffer].modifiable = false
    return transcripts.new(buffer), buffer
  end

  it('stay what they are, wherever others are added, changed and taken out', function()
    local dense = { command = true, tool = true, reasoning = true, patch = true }
    local output = require('codex.chat.output')
    for seed = 1, 30 do
      math.randomseed(seed)
      local transcript, buffer = new()
      transcript:set_top('top', 'Comment')
      local list = {}
      local function text()
        local lines = {}
        for i = 1, math.random(1, 4) do
          lines[i] = ('t%d'):format(math.random(99))
        end
        return table.concat(lines, '\n')
      end
      local function cell()
        local kinds = { 'message', 'command', 'notice', 'heading', 'reasoning' }
        local kind = kinds[math.random(#kinds)]
        local made = { kind = kind, text = text(), level = 'info', state = 'running' }
        made.command = kind == 'command' and 'ls' or nil
        made.output = kind == 'command' and output.new(text()) or nil
        return made
      end
      for _ = 1, 60 do
        local at = math.random(0, #list)
        local what = math.random(5)
        if what <= 2 or #list == 0 then
          local cells = {}
          for i = 1, math.random(1, 3) do
            cells[i] = cell()
            table.insert(list, at + i, cells[i])
          end
          transcript:insert(cells, list[at])
        elseif what == 3 then
          transcript:remove(table.remove(list, math.max(1, at)))
        elseif what == 4 then
          local chosen = list[math.max(1, at)]
          chosen.text = text()
          if chosen.output then
            chosen.output:add('\n' .. text())
          end
          transcript:render(chosen)
        else
          local chosen = list[math.max(1, at)]
          if chosen.kind == 'message' then
            local more = text()
            chosen.text = chosen.text .. more
            transcript:append(chosen, more, '')
          end
        end
        local want, before = { 'top' }, nil
        for _, one in ipairs(list) do
          local close = before
            and (before.kind == 'heading' or dense[before.kind] and dense[one.kind])
          if not close then
            table.insert(want, '')
          end
          local first = #want
          vim.list_extend(want, require('codex.chat.cells').render(one).lines)
          T.eq({ first, #want - 1 }, { transcript:range(one) })
          T.eq(true, transcript:at(#want - 1) == one)
          before = one
        end
        T.eq(want, vim.api.nvim_buf_get_lines(buffer, 0, -1, false))
      end
    end
  end)

  it('cannot be changed by hand', function()
    local transcript, buffer = new()
    transcript:insert({ { kind = 'message', text = 'hi' } }, nil)
    T.eq(false, vim.bo[buffer].modifiable)
    T.eq(false, vim.bo[buffer].modified)
  end)
end)

describe('a cell', function()
  local cells = require('codex.chat.cells')

  it('of a command says how it ended, and is folded then', function()
    local cell = {
      kind = 'command',
      state = 'running',
      command = { 'bash', '-lc', 'make\nmake test' },
      cwd = '/p/sub',
      folder = '/p',
      output = require('codex.chat.output').new('fine\n'),
    }
    local lines = cells.render(cell).lines
    T.eq('Running `make …` in sub', lines[1])
    T.eq({ '```sh', 'make', 'make test', '```', '```', 'fine', '```' }, vim.list_slice(lines, 2))
    T.eq(false, cells.folds(cell, #lines))
    cell.state, cell.exit_code, cell.seconds = 'failed', 2, 0.5
    T.eq('Ran `make …` in sub · exit 2 · 0.5 s', cells.render(cell).lines[1])
    T.eq(true, cells.folds(cell, #lines))
    cell.exit_code = -1
    T.has('did not finish', cells.render(cell).lines[1])
  end)

  it('of a patch has a diff of each file, and where each line is', function()
    local changes = {
      ['/p/a.lua'] = {
        update = { unified_diff = '@@ -5,2 +5,2 @@\n x\n-y\n+z\n', move_path = vim.NIL },
      },
      ['/p/b.lua'] = { add = { content = 'new\n' } },
      ['/p/c.lua'] = 'delete',
    }
    local files = require('codex.chat.patches').of_changes(changes)
    local cell = { kind = 'patch', state = 'done', files = files, folder = '/p' }
    T.eq({
      'Changed 3 files +2 -1',
      '- `a.lua` +1 -1',
      '```diff',
      '@@ -5,2 +5,2 @@',
      ' x',
      '-y',
      '+z',
      '```',
      '- `b.lua` +1 add',
      '```diff',
      '+new',
      '```',
      '- `c.lua` delete',
    }, cells.render(cell).lines)
    T.eq({ path = '/p/a.lua', line = 6 }, cell.places[6])
    local one = { kind = 'patch', state = 'failed', files = { files[1] }, problem = 'no such line' }
    T.match('^Could not change `/p/a.lua`', cells.render(one).lines[1])
    T.eq('no such line', cells.render(one).lines[2])
  end)

  it('of what a person said names what went along', function()
    local range = { start = { line = 0, character = 0 }, ['end'] = { line = 2, character = 0 } }
    local cell = {
      kind = 'user',
      folder = '/p',
      items = {
        { type = 'text', text = 'look at @b.lua' },
        { type = 'mention', path = '/p/b.lua' },
        { type = 'selection', path = '/p/a.lua', range = range },
        { type = 'local_image', path = '/p/c.png' },
      },
    }
    T.eq({
      '# You',
      'look at @b.lua',
      'With `a.lua:1-2`',
      'With the image `c.png`',
    }, cells.render(cell).lines)
    T.eq({ path = '/p/a.lua', line = 1 }, cell.places[2])
  end)

  it('has no line that a buffer cannot have', function()
    local cell = { kind = 'message', text = 'a\0b' }
    T.eq({ 'a b' }, cells.render(cell).lines)
  end)
end)

describe('what is typed', function()
  local items = require('codex.chat.items')

  local function project()
    local folder = S.folder()
    for _, name in ipairs({ 'a.lua', 'with space.txt', 'pic.png', 'shot one.JPG', 'x:3' }) do
      S.write(folder .. '/' .. name, 'x')
    end
    return folder
  end

  it('names files with @, with lines, with quotes, and in a sentence', function()
    local folder = project()
    local function paths(text)
      local found = {}
      for _, item in ipairs(items.of_text(text, folder)) do
        if item.path then
          local name = item.path:sub(#folder + 2)
          local lines = item.range and ':' .. require('codex.chat.words').range(item.range) or ''
          table.insert(found, ('%s %s%s'):format(item.type, name, lines))
        end
      end
      return found
    end
    T.eq({ 'mention a.lua' }, paths('see @a.lua, please'))
    T.eq({ 'mention a.lua:3-5' }, paths('(@a.lua:3-5)'))
    T.eq({ 'mention x:3' }, paths('@x:3'))
    T.eq({ 'mention with space.txt' }, paths('@"with space.txt"'))
    T.eq({ 'mention with space.txt:2' }, paths('@"with space.txt:2" there'))
    T.eq({}, paths('@none.lua me@a.lua'))
    T.eq({ 'mention a.lua' }, paths('@a.lua and @a.lua'))
    T.eq({ 'local_image pic.png' }, paths('what is on @pic.png?'))
    T.eq({ 'local_image pic.png' }, paths('what is on pic.png ?'))
    T.eq({ 'local_image pic.png' }, paths('file://' .. folder .. '/pic.png'))
    T.eq({ 'local_image shot one.JPG' }, paths(("look: '%s/shot one.JPG'"):format(folder)))
    T.eq({ 'local_image shot one.JPG' }, paths((folder .. '/shot\\ one.JPG it is')))
    T.eq({}, paths('none.png'))
  end)

  it('is no text if it is only images', function()
    local folder = project()
    T.eq(
      { { type = 'local_image', path = folder .. '/pic.png' } },
      items.of_text('pic.png\n', folder)
    )
    T.eq('text', items.of_text('pic.png what?', folder)[1].type)
  end)

  it('comes back from items as it was', function()
    local folder = project()
    local text = 'see @a.lua:3-5 and @"with space.txt"'
    T.eq(text, items.to_text(items.of_text(text, folder), folder))
    local selection =
      { type = 'selection', path = folder .. '/a.lua', range = items.lines_range(1, 2) }
    local both = { { type = 'text', text = 'fix' }, selection }
    T.eq('@a.lua:1-2\nfix', items.to_text(both, folder))
  end)

  it('is completed behind an @ that no address has', function()
    local base = require('codex.chat.complete').base
    T.eq({ 4, 'lu' }, { base('see @lu') })
    T.eq({ 0, '' }, { base('@') })
    T.eq({ 0, 'with sp' }, { base('@"with sp') })
    T.eq({}, { base('me@lu') })
    T.eq({}, { base('@lua done') })
  end)
end)

describe('what is selected', function()
  local items = require('codex.chat.items')

  it('goes along with its lines, or with its characters', function()
    vim.cmd.edit(vim.fn.fnameescape(S.folder() .. '/sel.txt'))
    S.on_clean(function()
      vim.cmd('bwipeout!')
    end)
    vim.api.nvim_buf_set_lines(0, 0, -1, false, { 'one', 'zwölf € x', 'three' })
    local lines = items.selection(0, 1, 2)
    T.eq('one\nzwölf € x\n', lines.text)
    T.eq(items.lines_range(1, 2), lines.range)
    vim.api.nvim_win_set_cursor(0, { 2, 0 })
    vim.cmd('normal! lvlllllly')
    local part = items.selection(0, 2, 2)
    T.eq('wölf € ', part.text)
    T.eq(1, part.range.start.character)
    T.eq({ line = 1, character = 8 }, part.range['end'])
  end)

  it('is a text if it is of no file', function()
    vim.cmd.enew()
    vim.api.nvim_buf_set_lines(0, 0, -1, false, { 'a', '```' })
    S.on_clean(function()
      vim.cmd('bwipeout!')
    end)
    local item = items.selection(0, 1, 2)
    T.eq('text', item.type)
    T.eq('````\na\n```\n````', item.text)
  end)
end)

describe('a saved session', function()
  it('becomes the cells that it was shown as', function()
    local history = require('codex.chat.history').new('/p')
    local function entry(item)
      return { index = 0, item = item }
    end
    local function call(id, name, arguments)
      return entry({
        type = 'function_call',
        call_id = id,
        name = name,
        arguments = vim.json.encode(arguments),
      })
    end
    local function result(id, text)
      return entry({ type = 'function_call_output', call_id = id, output = text })
    end
    local ran = vim.json.encode({
      output = 'hi\n',
      metadata = { exit_code = 1, duration_seconds = 0.4 },
    })
    local patch = '*** Begin Patch\n*** Update File: a.lua\n@@\n-x\n+y\n*** End Patch'
    local quoted = '<selection path="/p/a&amp;b.lua" lines="3-7">\nx\n</selection>'
    local cells = history:cells({
      entry({
        type = 'message',
        role = 'user',
        content = { { type = 'input_text', text = '<environment_context>x' } },
      }),
      entry({
        type = 'message',
        role = 'user',
        content = {
          { type = 'input_text', text = 'fix it' },
          { type = 'input_text', text = quoted },
          { type = 'input_image', image_url = 'data:' },
        },
      }),
      entry({ type = 'reasoning', summary = { { type = 'summary_text', text = 'hm' } } }),
      call('c1', 'shell', { command = { 'ls' }, workdir = '/p' }),
      result('c1', ran),
      call('c2', 'apply_patch', { input = patch }),
      result('c2', 'Success'),
      call('c3', 'update_plan', { plan = { { step = 'a', status = 'completed' } } }),
      call('c4', 'server.tool', { x = 1 }),
      result('c4', 'Exit code: 0\nWall time: 2 seconds\nOutput:\nall\n'),
      call('c5', 'shell', { command = { 'rm' } }),
      result('c5', 'exec command rejected by user'),
      entry({ type = 'something_new' }),
      entry({
        type = 'message',
        role = 'assistant',
        content = { { type = 'output_text', text = 'done' } },
      }),
    })
    local kinds = vim.tbl_map(function(cell)
      return cell.kind
    end, cells)
    T.eq({
      'user',
      'heading',
      'reasoning',
      'command',
      'patch',
      'plan',
      'tool',
      'command',
      'message',
    }, kinds)
    T.eq('/p/a&b.lua', cells[1].items[2].path)
    T.eq('3-7', require('codex.chat.words').range(cells[1].items[2].range))
    T.eq({ 1, 0.4, 'failed' }, { cells[4].exit_code, cells[4].seconds, cells[4].state })
    T.eq({ 'hi' }, cells[4].output:all())
    T.eq({ '@@', '-x', '+y' }, cells[5].files[1].diff)
    T.eq({ 'all' }, cells[7].output:all())
    T.eq('skipped', cells[8].state)
  end)
end)

describe('a page of what was said', function()
  it('has nothing that comes as an event', function()
    local buffer = vim.api.nvim_create_buf(false, true)
    S.on_clean(function()
      vim.api.nvim_buf_delete(buffer, { force = true })
    end)
    local items = {}
    for i = 0, 3 do
      local item = { type = 'message', role = 'user', content = ('said %d'):format(i) }
      items[i + 1] = { index = i, item = item }
    end
    local server = {
      request = function(_, _, _, callback)
        callback(nil, { items = items })
      end,
    }
    local view = {
      root = '/p',
      buffer = buffer,
      session = { id = 'x', server = server },
      transcript = require('codex.chat.transcript').new(buffer),
    }
    view.pages = require('codex.chat.pages').new(view, 2)
    view.pages:load()
    local text = table.concat(vim.api.nvim_buf_get_lines(buffer, 0, -1, false), '\n')
    T.eq('codex in /p\n\n# You\nsaid 0\n\n# You\nsaid 1', text)
    T.eq(false, view.pages.more)
  end)
end)

describe('the line above the transcript', function()
  it('leaves out what there is no room for', function()
    local view = {
      session = {
        status = 'running',
        waiting = {},
        info = {
          model = 'gpt-5',
          contextWindow = 200000,
          approvalPolicy = 'on-request',
          sandboxPolicy = { mode = 'read-only' },
        },
        tokens = { total_tokens = 12345 },
      },
      title = function()
        return '100% of the parser, mended'
      end,
    }
    local function plain(width)
      local line = require('codex.chat.winbar').line(view, width)
      local shown = vim.api.nvim_eval_statusline(line, { maxwidth = width }).str
      T.eq(width, vim.fn.strdisplaywidth(shown))
      return shown
    end
    local wide = plain(100)
    T.has('100% of the parser, mended', wide)
    T.has('running · gpt-5 · 12k/200k · on-request, read-only', wide)
    T.has('running · gpt-5', plain(40))
    T.lacks('on-request', plain(40))
    T.has('running', plain(20))
  end)
end)
